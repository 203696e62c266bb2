from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.worker import _supervisor_process as process
from asyncbridge.worker import supervisor
from asyncbridge.worker._supervisor_folder import Folder, make_folder
from asyncbridge.worker._supervisor_process import CHUNK, STUCK_LOOKS, TAIL_BYTES, Outlet, Tail
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [
    pytest.mark.usefixtures("tmp_path", "no_leaks"),  # the first makes folders for the session
    pytest.mark.skipif(sys.platform != "linux", reason="the tests see deaths through pidfds"),
]


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keep the path short enough for a socket in it, whatever the test is called."""
    return tmp_path_factory.mktemp("s")


SUPERVISOR = supervisor.__file__

SLEEP = "import signal\nwhile True: signal.pause()"
DEAF = f"import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n{{ready}}\n{SLEEP}"
HOLD_GIL = "import ctypes\n{ready}\nctypes.PyDLL(None).sleep(60)"

MIDDLE = """\
import json, os, signal, subprocess, sys
config = {**json.loads(sys.argv[2]), "client_pid": os.getpid()}
popen = subprocess.Popen(
    [sys.executable, "-I", "-S", sys.argv[1]],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0,
)
popen.stdin.write(json.dumps(config).encode() + b"\\n")
spawned = json.loads(popen.stdout.readline())
leak = os.fork() if sys.argv[3] == "leak" else None
if leak == 0:
    os.close(1)  # the test's own pipe is none of the leaked ones
else:
    print(json.dumps({**spawned, "supervisor": popen.pid, "leak": leak}), flush=True)
while True:
    signal.pause()
"""
"""A client that starts a supervisor, says so, and waits to be killed; its child keeps the pipes."""


def python(code: str) -> list[str]:
    """Return the command for a small program."""
    return [sys.executable, "-I", "-S", "-c", code]


class Death:
    """The end of a process that is no child of this one."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)
        self._poll = select.poll()
        self._poll.register(self._pidfd, select.POLLIN)

    def wait(self) -> None:
        """Wait for it; fail the test when it does not come."""
        assert self._poll.poll(HANG_S * 1000), f"process {self.pid} lives on"

    def send(self, number: signal.Signals) -> None:
        signal.pidfd_send_signal(self._pidfd, number)

    def close(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.send(signal.SIGKILL)
        os.close(self._pidfd)


class Ready:
    """A named pipe by which a worker says how far it has come."""

    def __init__(self, folder: Path) -> None:
        path = folder / "ready"
        os.mkfifo(path)
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.code = f"import os; os.write(os.open({str(path)!r}, os.O_WRONLY), b'ready')"
        self.say = f"os.write(os.open({str(path)!r}, os.O_WRONLY), {{}}.encode())"

    def wait(self) -> str:
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        assert poll.poll(HANG_S * 1000), "the worker never came so far"
        return os.read(self._fd, 100).decode()

    def close(self) -> None:
        os.close(self._fd)


class Client:
    """This process as the client of one supervisor."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-I", "-S", SUPERVISOR],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
            bufsize=0,
        )
        self._rest = b""
        self.send({"client_pid": os.getpid(), **config})

    def send(self, order: object) -> None:
        assert self.popen.stdin is not None
        rest = memoryview(json.dumps(order).encode() + b"\n")
        while rest:  # the kernel may take a part of it, also where the pipe blocks
            rest = rest[self.popen.stdin.write(rest) :]

    def event(self) -> dict[str, Any]:
        """Return the next event."""
        assert self.popen.stdout is not None
        poll = select.poll()
        poll.register(self.popen.stdout, select.POLLIN)
        while b"\n" not in self._rest:
            assert poll.poll(HANG_S * 1000), "the supervisor is silent"
            chunk = self.popen.stdout.read(CHUNK)
            assert chunk, "the supervisor ended"
            self._rest += chunk
        line, _, self._rest = self._rest.partition(b"\n")
        event: dict[str, Any] = json.loads(line)
        return event

    def hang_up(self) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def close(self) -> None:
        assert self.popen.stdout is not None
        self.hang_up()
        self.popen.stdout.close()
        self.popen.wait(HANG_S)


@pytest.fixture
def ready(tmp_path: Path) -> Iterator[Ready]:
    """Let a worker say how far it has come."""
    made = Ready(tmp_path)
    yield made
    made.close()


@pytest.fixture
def start(no_leaks: None) -> Iterator[Callable[..., Client]]:
    """Start a supervisor whose worker runs the given code."""
    clients: list[Client] = []

    def new_client(code: str, **config: Any) -> Client:
        clients.append(Client({"argv": python(code), **config}))
        return clients[-1]

    yield new_client
    for client in clients:
        client.close()


@pytest.fixture
def watch(no_leaks: None) -> Iterator[Callable[[int], Death]]:
    """Watch a process; kill it at the test's end."""
    deaths: list[Death] = []

    def new_death(pid: int) -> Death:
        deaths.append(Death(pid))
        return deaths[-1]

    yield new_death
    for death in deaths:
        death.close()


# --- the worker's life -------------------------------------------------------------------


def test_the_worker_runs_in_a_private_folder_and_a_group_of_its_own(
    start: Callable[..., Client],
) -> None:
    """The folder is 0700 and the worker leads its own session and process group."""
    spawned = start(SLEEP).event()
    assert spawned["event"] == "spawned"
    assert Path(spawned["folder"]).stat().st_mode & 0o777 == 0o700
    assert os.getpgid(spawned["pid"]) == os.getsid(spawned["pid"]) == spawned["pid"]


def test_the_worker_finds_its_config_on_standard_input(start: Callable[..., Client]) -> None:
    """The worker's first line is its own config with the folder, socket and descriptors."""
    code = "import json, os; line = input(); os.write(json.loads(line)['crash_fd'], line.encode())"
    client = start(code, worker_config={"token": "secret"})
    folder = client.event()["folder"]
    config = json.loads(client.event()["stderr_tail"])
    handed = ("stdout_fd", "stderr_fd", "words_fd", "crash_fd")
    assert len({config.pop(name) for name in handed}) == 4
    assert config == {
        "token": "secret",
        "folder": folder,
        "socket": f"{folder}/worker.sock",
        "supervisor_pid": client.popen.pid,
    }


def test_a_worker_on_a_host_and_port_gets_no_socket(start: Callable[..., Client]) -> None:
    """An address that the config gives is not overruled."""
    code = "import json, os; line = input(); os.write(json.loads(line)['crash_fd'], line.encode())"
    client = start(code, worker_config={"host": "127.0.0.1", "port": 1})
    client.event()
    assert "socket" not in json.loads(client.event()["stderr_tail"])


def test_a_config_larger_than_a_pipe_arrives_whole(start: Callable[..., Client]) -> None:
    """A worker that reads slowly gets all of a config that no pipe holds at once."""
    big = "x" * 300_000
    client = start("import json; raise SystemExit(len(json.loads(input())['big']) == 300_000)",
                   worker_config={"big": big})  # fmt: skip
    client.event()
    assert client.event()["exit_code"] == 1


def test_the_worker_inherits_nothing_but_its_own(start: Callable[..., Client]) -> None:
    """The worker has open the standard three and the four that its config names."""
    code = (
        "import json, os; c = json.loads(input())\n"
        "own = {0, 1, 2, c['stdout_fd'], c['stderr_fd'], c['words_fd'], c['crash_fd']}\n"
        "seen = {int(n) for n in os.listdir('/proc/self/fd')}\n"
        "raise SystemExit(len(seen) != 8 or not own < seen)"  # the eighth is the listing
    )
    client = start(code)
    client.event()
    assert client.event()["exit_code"] == 0


def test_environment_changes_reach_the_worker(
    start: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A changed variable is set, and one that is changed to null is gone."""
    monkeypatch.setenv("ASYNCBRIDGE_TEST_GONE", "1")
    code = (
        "import os; raise SystemExit(os.environ.get('ASYNCBRIDGE_TEST_NEW') != 'n'"
        " or 'ASYNCBRIDGE_TEST_GONE' in os.environ)"
    )
    client = start(code, env={"ASYNCBRIDGE_TEST_NEW": "n", "ASYNCBRIDGE_TEST_GONE": None})
    client.event()
    assert client.event()["exit_code"] == 0


def test_signals_have_their_default_actions_in_the_worker(start: Callable[..., Client]) -> None:
    """What the supervisor ignores is not ignored in the worker."""
    code = (
        "import signal as s; raise SystemExit(any(s.getsignal(n) == s.SIG_IGN"
        " for n in (s.SIGHUP, s.SIGTERM, s.SIGUSR1, s.SIGCHLD)))"
    )
    client = start(code)
    client.event()
    assert client.event()["exit_code"] == 0


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_status_is_reported(start: Callable[..., Client], code: int) -> None:
    """A worker that ends by itself is reported with its status, and its folder is gone."""
    client = start(f"raise SystemExit({code})")
    folder = client.event()["folder"]
    ended = client.event()
    assert (ended["event"], ended["exit_code"], ended["signal"]) == ("ended", code, None)
    assert ended["peak_rss_bytes"] > 1_000_000
    assert ended["oom_kills"] == 0
    assert not Path(folder).exists()
    assert client.popen.wait(HANG_S) == 0


def test_a_crash_is_reported_with_its_signal_and_last_words(start: Callable[..., Client]) -> None:
    """The tail holds the end of standard output, of standard error, and the crash's report."""
    code = (
        "import json, os; c = json.loads(input()); os.write(c['crash_fd'], b' crash')\n"
        "os.write(2, b'err'); os.write(1, b'out '); os.abort()"
    )
    client = start(code)
    client.event()
    ended = client.event()
    assert (ended["exit_code"], ended["signal"]) == (None, "SIGABRT")
    assert ended["stderr_tail"] == "out err crash"
    assert not ended["asked"]


def test_the_tail_is_bounded(start: Callable[..., Client]) -> None:
    """However much a worker tells, its last 16 KiB are kept, and the report fits a pipe."""
    code = (
        "import json, os; c = json.loads(input())\n"
        "os.write(c['crash_fd'], b'a' * 1_000_000 + b'\\x01' * 16_383 + b'z')"
    )
    client = start(code)
    client.event()
    tail = client.event()["stderr_tail"]
    assert set(tail) == {"\x01", "z"}
    assert tail.endswith("z")
    assert len(tail) * 6 < supervisor.EVENT_BYTES


def test_a_worker_that_cannot_start_is_reported(start: Callable[..., Client]) -> None:
    """The report names the command, and no folder is left."""
    client = start("", argv=["/nonexistent/python"])
    event = client.event()
    assert event["event"] == "spawn_failed"
    assert "/nonexistent/python" in event["error"]
    assert client.popen.wait(HANG_S) == 1


def test_a_parent_folder_that_is_too_deep_is_refused(
    start: Callable[..., Client], tmp_path: Path
) -> None:
    """A folder in which no Unix socket could be bound is refused with the reason."""
    parent = tmp_path / ("d" * 100)
    parent.mkdir()
    event = start(SLEEP, folder_parent=str(parent)).event()
    assert event["event"] == "spawn_failed"
    assert "too long for a Unix socket" in event["error"]


# --- ends that were asked for ------------------------------------------------------------


def test_an_orderly_stop_lets_the_worker_end_by_itself(
    start: Callable[..., Client], ready: Ready
) -> None:
    """SIGTERM comes first, and the worker's own exit status counts."""
    code = f"import os, signal\nsignal.signal(15, lambda *_: os._exit(7))\n{ready.code}\n{SLEEP}"
    client = start(code)
    client.event()
    ready.wait()
    client.send({"stop": HANG_S})
    ended = client.event()
    assert (ended["exit_code"], ended["asked"]) == (7, True)


def test_a_stop_kills_after_its_grace(start: Callable[..., Client], ready: Ready) -> None:
    """A worker that ignores SIGTERM is killed when its time is over."""
    client = start(DEAF.format(ready=ready.code))
    client.event()
    ready.wait()
    client.send({"stop": 0.05})
    assert client.event()["signal"] == "SIGKILL"


def test_a_kill_overtakes_a_stop(start: Callable[..., Client], ready: Ready) -> None:
    """A kill does not wait for the grace of a stop before it."""
    client = start(DEAF.format(ready=ready.code))
    client.event()
    ready.wait()
    client.send({"stop": 3600})
    client.send({"kill": True})
    assert client.event()["signal"] == "SIGKILL"


def test_hanging_up_after_a_stop_leaves_the_grace(
    start: Callable[..., Client], ready: Ready
) -> None:
    """A client that lives may close the pipe behind its stop; the worker still has its time."""
    client = start(DEAF.format(ready=ready.code))
    client.event()
    ready.wait()
    before = time.monotonic()
    client.send({"stop": 0.3})
    client.hang_up()
    assert client.event()["signal"] == "SIGKILL"
    assert time.monotonic() - before >= 0.3


def test_sigterm_is_an_orderly_stop_and_terminal_signals_are_the_clients(
    start: Callable[..., Client], ready: Ready
) -> None:
    """SIGINT and SIGHUP do nothing to a client's supervisor; SIGTERM stops the worker."""
    client = start(f"{ready.code}\n{SLEEP}")
    client.event()
    ready.wait()
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        client.popen.send_signal(number)
    assert client.event()["signal"] == "SIGTERM"


def test_a_grandchild_in_the_group_is_killed(
    start: Callable[..., Client], ready: Ready, watch: Callable[[int], Death]
) -> None:
    """What the worker forked dies with it, even when the worker ends by itself."""
    code = "import os, signal\npid = os.fork()\nif pid == 0: signal.pause()\n"
    code += f"{ready.say.format('str(pid)')}\ninput(); input()"
    client = start(code)
    pid = client.event()["pid"]
    grandchild = watch(int(ready.wait()))
    os.kill(pid, signal.SIGTERM)
    grandchild.wait()
    assert client.event()["signal"] == "SIGTERM"


# --- ends of the client ------------------------------------------------------------------


def test_hanging_up_kills_a_stopped_worker(
    start: Callable[..., Client], watch: Callable[[int], Death]
) -> None:
    """A worker that was stopped by SIGSTOP dies when the client closes the pipe."""
    client = start(SLEEP)
    spawned = client.event()
    worker = watch(spawned["pid"])
    worker.send(signal.SIGSTOP)
    client.hang_up()
    worker.wait()
    assert client.event()["signal"] == "SIGKILL"
    assert not Path(spawned["folder"]).exists()


@pytest.mark.parametrize("leak", ["none", "leak"])
@pytest.mark.parametrize("code", [f"{{ready}}\n{SLEEP}", HOLD_GIL], ids=["idle", "holds-the-GIL"])
def test_the_worker_dies_with_its_client(
    code: str, leak: str, ready: Ready, watch: Callable[[int], Death]
) -> None:
    """A client's SIGKILL ends worker and folder, though a fork of it still holds the pipes."""
    config = json.dumps({"argv": python(code.format(ready=ready.code))})
    command = [sys.executable, "-c", MIDDLE, SUPERVISOR, config, leak]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as middle:
        assert middle.stdout is not None
        said = json.loads(middle.stdout.readline())
        deaths = [watch(said["pid"]), watch(said["supervisor"])]
        if said["leak"] is not None:
            watch(said["leak"])
        ready.wait()
        middle.kill()
        for death in deaths:
            death.wait()
    assert not Path(said["folder"]).exists()


def test_a_client_that_never_speaks_gets_no_worker() -> None:
    """A pipe that ends before the config ends the supervisor in silence."""
    command = [sys.executable, "-I", "-S", SUPERVISOR]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=HANG_S, check=True)
    assert (done.stdout, done.stderr) == (b"", b"")


def test_a_client_that_is_not_the_parent_counts_as_gone(start: Callable[..., Client]) -> None:
    """A pid that is not the supervisor's parent starts nothing."""
    client = start(SLEEP, client_pid=1)
    assert client.popen.wait(HANG_S) == 0
    assert client.popen.stdout is not None
    assert client.popen.stdout.read() == b""


def test_a_reader_that_is_gone_does_not_end_the_supervisor(
    start: Callable[..., Client], watch: Callable[[int], Death]
) -> None:
    """Without a reader for its events the supervisor still cleans up."""
    client = start(SLEEP)
    spawned = client.event()
    worker = watch(spawned["pid"])
    assert client.popen.stdout is not None
    client.popen.stdout.close()
    client.send({"kill": True})
    worker.wait()
    assert client.popen.wait(HANG_S) == 0
    assert not Path(spawned["folder"]).exists()


def test_an_order_that_is_no_json_ends_the_worker(
    start: Callable[..., Client], watch: Callable[[int], Death]
) -> None:
    """Whatever goes wrong in the supervisor, neither worker nor folder survives it."""
    client = start(SLEEP)
    spawned = client.event()
    worker = watch(spawned["pid"])
    assert client.popen.stdin is not None
    client.popen.stdin.write(b"no order\n")
    worker.wait()
    assert client.popen.wait(HANG_S) == 1
    assert not Path(spawned["folder"]).exists()


# --- the output pipes --------------------------------------------------------------------


def test_a_flood_from_c_with_the_gil_held_does_not_deadlock(start: Callable[..., Client]) -> None:
    """The supervisor reads a pipe whose own reader cannot, so that the writer goes on."""
    code = (
        "import ctypes\nwrite = ctypes.PyDLL(None).write\n"
        "left, chunk = 1 << 20, b'c' * 8192\n"
        "while left > 0: left -= write(2, chunk, len(chunk))\n"
        "raise SystemExit(5)"
    )
    client = start(code)
    client.event()
    ended = client.event()
    assert ended["exit_code"] == 5
    assert ended["stderr_tail"] == "c" * TAIL_BYTES


@pytest.fixture
def outlet(tmp_path: Path) -> Iterator[Outlet]:
    """Make an output pipe with no worker."""
    made = Outlet(str(tmp_path))
    yield made
    made.close()
    os.close(made.worker_reader)


def fill(outlet: Outlet, size: int) -> None:
    """Write pieces of a size until the pipe takes no more."""
    os.set_blocking(outlet.writer, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(outlet.writer, b"x" * size)


def test_a_pipe_is_stuck_when_it_stays_full(outlet: Outlet) -> None:
    """A full pipe that nobody reads counts as stuck after some looks, not before."""
    fill(outlet, 4096)
    looks = [outlet.is_stuck() for _ in range(STUCK_LOOKS + 1)]
    assert looks == [False] * STUCK_LOOKS + [True]


def test_a_pipe_with_room_is_never_stuck(outlet: Outlet) -> None:
    """Text that waits for a busy reader is left to it, as long as the writer has room."""
    os.write(outlet.writer, b"for the reader")
    assert not any(outlet.is_stuck() for _ in range(2 * STUCK_LOOKS))
    assert os.read(outlet.worker_reader, 100) == b"for the reader"


def test_a_flood_that_is_read_is_not_stuck(outlet: Outlet) -> None:
    """A pipe that is full at each look, but with other content, has a living reader."""
    for size in (4096, 3000) * STUCK_LOOKS:
        fill(outlet, size)
        assert not outlet.is_stuck()
        outlet.read()


def test_each_side_of_an_outlet_has_flags_of_its_own(outlet: Outlet) -> None:
    """This side reads without blocking, while the worker's side stays as it was."""
    assert outlet.read() == b""
    assert os.get_blocking(outlet.worker_reader)


def test_a_tail_keeps_the_end() -> None:
    """The oldest bytes go first, and what is no UTF-8 is replaced."""
    tail = Tail()
    tail.add(b"gone" + b"a" * (TAIL_BYTES - 2))
    tail.add(b"\xffz")
    assert tail.text() == "a" * (TAIL_BYTES - 2) + "\ufffdz"


# --- the folder --------------------------------------------------------------------------


def test_removal_follows_no_link(tmp_path: Path) -> None:
    """What a link in the folder points at stays."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    folder = Folder(parent=str(tmp_path))
    Path(folder.path, "link").symlink_to(kept)
    Path(folder.path, "deep/er").mkdir(parents=True)
    folder.remove()
    assert not Path(folder.path).exists()
    assert (kept / "file").exists()


def test_a_folder_that_was_swapped_is_left_alone(tmp_path: Path) -> None:
    """Another folder that stands under the same name is not removed."""
    folder = Folder(parent=str(tmp_path))
    Path(folder.path).rename(tmp_path / "moved")
    Path(folder.path).mkdir()
    folder.remove()
    assert Path(folder.path).exists()


def test_a_runtime_folder_is_used_only_if_it_is_private(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """XDG_RUNTIME_DIR counts only while nobody else can enter it."""
    runtime, temporary = tmp_path / "r", tmp_path / "t"
    runtime.mkdir(mode=0o700)
    temporary.mkdir()
    with monkeypatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(runtime))
        patch.setenv("TMPDIR", str(temporary))
        assert Path(make_folder(None)).parent == runtime
        runtime.chmod(0o755)
        assert Path(make_folder(None)).parent == temporary


def test_a_given_folder_must_be_private(tmp_path: Path) -> None:
    """A folder that others can enter is refused with the remedy."""
    tmp_path.chmod(0o755)
    with pytest.raises(PermissionError, match="chmod 700"):
        Folder(given=str(tmp_path))


def test_a_given_folder_loses_only_its_named_sockets(tmp_path: Path) -> None:
    """Sockets that are named go; files, and sockets that are not named, stay."""
    tmp_path.chmod(0o700)
    for name in ("a", "b"):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(tmp_path / name))
    (tmp_path / "file").touch()
    Folder(given=str(tmp_path), sockets=["a", "file", "absent"]).remove()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "file"]


# --- small things ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "counter"),
    [
        ("0::/user/app\n", "user/app/memory.events"),
        ("7:cpu:/x\n4:memory:/user/app\n0::/\n", "memory/user/app/memory.oom_control"),
        ("4:hugetlb,memory:/host/path\n", "memory/memory.oom_control"),
    ],
)
def test_memory_kills_are_read_from_the_control_group(
    groups: str, counter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The count comes from version 2, from version 1, or from the mount in a container."""
    files = {
        "/proc/self/cgroup": groups,
        f"/sys/fs/cgroup/{counter}": "low 0\noom 9\noom_kill 2\n",
    }

    def fake_open(path: str, **_: str) -> Any:
        if path not in files:
            raise FileNotFoundError(path)
        return contextlib.nullcontext(files[path].splitlines(keepends=True))

    monkeypatch.setattr(process, "open", fake_open, raising=False)
    assert process.oom_kills() == 2


def test_no_control_group_means_no_memory_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel shows no counter the count is zero."""

    def fake_open(path: str, **_: str) -> Any:
        raise FileNotFoundError(path)

    monkeypatch.setattr(process, "open", fake_open, raising=False)
    assert process.oom_kills() == 0


def test_a_real_time_signal_has_a_number() -> None:
    """A signal without a name is named by its number."""
    assert process.signal_name(signal.SIGKILL) == "SIGKILL"
    assert process.signal_name(signal.SIGRTMIN + 3) == f"signal {signal.SIGRTMIN + 3}"


def test_the_supervisor_imports_the_standard_library_alone() -> None:
    """Run by path it loads nothing of asyncbridge but its own parts, and no slow module."""
    command = [sys.executable, "-I", "-S", "-X", "importtime", SUPERVISOR]
    done = subprocess.run(command, input=b"", capture_output=True, timeout=HANG_S, check=True)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.decode().splitlines()}
    assert {name for name in loaded if name.startswith("asyncbridge")} == {
        "asyncbridge.worker._last_words",
        "asyncbridge.worker._supervisor_folder",
        "asyncbridge.worker._supervisor_loop",
        "asyncbridge.worker._supervisor_process",
    }
    slow = {"typing", "pathlib", "subprocess", "tempfile", "shutil", "dataclasses", "logging"}
    assert not slow & loaded


# --- in the foreground -------------------------------------------------------------------


def test_in_the_foreground_an_exit_status_passes_through(tmp_path: Path) -> None:
    """The worker's status is the caller's, and the signal handlers are as before."""
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)]
    config: Any = {"argv": python("raise SystemExit(4)"), "folder_parent": str(tmp_path)}
    assert supervisor.run_foreground(config) == 4
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGCHLD)] == before
    assert list(tmp_path.iterdir()) == []


def test_in_the_foreground_a_crash_prints_the_last_words(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal gives the shell's status, and standard error the worker's own last text."""
    code = "import os; os.write(2, b'the reason'); os.abort()"
    config: Any = {"argv": python(code), "folder_parent": str(tmp_path)}
    assert supervisor.run_foreground(config) == 128 + signal.SIGABRT
    assert capsys.readouterr().err == "the reason\nasyncbridge: the worker crashed (SIGABRT)\n"


def test_in_the_foreground_a_failed_start_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that does not exist gives status 1 and its name on standard error."""
    config: Any = {"argv": ["/nonexistent/python"], "folder_parent": str(tmp_path)}
    assert supervisor.run_foreground(config) == 1
    assert "/nonexistent/python" in capsys.readouterr().err


@pytest.mark.parametrize(("presses", "status"), [(1, 9), (2, 128 + signal.SIGKILL)])
def test_in_the_foreground_ctrl_c_stops_and_a_second_one_kills(
    presses: int, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The worker, which sends this process its signals, ends in order or is killed."""
    code = (
        "import os, signal\n"
        "def end(*_):\n"
        f" if {presses} == 2: os.kill(os.getppid(), signal.SIGINT)\n"
        " else: os._exit(9)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"os.kill(os.getppid(), signal.SIGINT)\n{SLEEP}"
    )
    config: Any = {"argv": python(code), "folder_parent": str(tmp_path)}
    assert supervisor.run_foreground(config) == status
    assert capsys.readouterr().err == ""


def test_the_end_of_a_dying_client_is_awaited() -> None:
    """It is known by its flags; one that lives, or of which nothing is known, is not waited for."""
    child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    pidfd = os.pidfd_open(child.pid)
    try:
        assert not supervisor.is_exiting(child.pid)
        supervisor.await_death(child.pid, pidfd)
        supervisor.await_death(child.pid, None)
        child.kill()
        select.select([pidfd], [], [])
        assert supervisor.is_exiting(child.pid)
        supervisor.await_death(child.pid, pidfd)
    finally:
        os.close(pidfd)
        child.wait()
    assert not supervisor.is_exiting(child.pid)
