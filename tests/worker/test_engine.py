"""The engine with a stepped executor and peers that only take notes."""

from __future__ import annotations

import asyncio
import math
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest

from asyncbridge.protocol.limits import BULK_THRESHOLD
from asyncbridge.protocol.messages import (
    BulkRef,
    Command,
    Completed,
    Fault,
    Message,
    Output,
    Payload,
    Progress,
    Release,
    StateChanged,
    StreamName,
)
from asyncbridge.serialization.codec import decode, encode
from asyncbridge.serialization.deferred import Outgoing, whole
from asyncbridge.serialization.frames import pack, unpack
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.holding import Hold
from asyncbridge.worker.lines import Line
from asyncbridge.worker.output import Capture
from asyncbridge.worker.peer import Peer
from asyncbridge.worker.progress import report
from asyncbridge.worker.queue import FailureLog, Job
from asyncbridge.worker.results import Held

pytestmark = pytest.mark.asyncio


class Notes(Peer):
    """A peer without a connection; ``told`` is what its client would hear."""

    def __init__(self, engine: Engine, session: str = "s") -> None:
        self.told: list[tuple[Any, ...]] = []
        self.largest = 0
        self.locals = self.references = self.debug = False
        self.claimant = engine.lodging.enter(session)
        self.failures = FailureLog()
        self._engine = engine
        self._name = session

    @property
    def session(self) -> str:
        return self._name

    def started(self, command_id: int) -> None:
        self.told.append(("started", command_id))

    def completed(
        self, command_id: int, value: Payload, bulk: dict[str, Held], **more: Any
    ) -> None:
        assert not more, "nothing of it was asked for"
        self.told.append(("completed", command_id, value, bulk))

    def place(self, buffer: Outgoing) -> Held:
        return bytes(whole(buffer))

    def failed(self, command_id: int, fault: Fault, because: int | None) -> None:
        self.told.append(("failed", command_id, fault, because))

    def notify(self, message: Message) -> None:
        self.told.append(("notified", message))

    async def put(self, command: Command) -> Job:
        """Put a command, as it comes off a frame, into the queue."""
        (received,) = unpack(pack([command]))
        assert isinstance(received, Command)
        job = Job(self, received, self.failures)
        await self._engine.queue.put(job)
        return job

    def kinds(self) -> list[str]:
        """Return what was told, without the contents."""
        return [entry[0] for entry in self.told]


class FailingBackend(Backend):
    """A backend whose import fails."""

    def __init__(self) -> None:
        super().__init__(None)
        self.name = "tensorflow"

    def load(self) -> None:
        raise ImportError("no libcuda")


class Printed(Capture):
    """Captured output that a test writes itself; its descriptors are real pipes."""

    def __init__(self) -> None:
        self.pieces: list[tuple[StreamName, str]] = []
        self.flushed = 0
        self.pipes = os.pipe(), os.pipe()

    def filenos(self) -> tuple[int, ...]:
        return tuple(reader for reader, _ in self.pipes)

    def drain(self) -> list[tuple[StreamName, str]]:
        pieces, self.pieces = self.pieces, []
        return pieces

    def flush_python_streams(self, do: object = None) -> None:
        self.flushed += 1

    def close(self) -> None:
        for descriptor in sum(self.pipes, ()):
            os.close(descriptor)


@pytest.fixture
def printed() -> Iterator[Printed]:
    """Captured output."""
    output = Printed()
    yield output
    output.close()


class Bench:
    """An engine whose backend is imported already."""

    def __init__(self, *, backend: Backend | None = None, output: Capture | None = None) -> None:
        self.executor = StepExecutor()
        self.now = 100.0
        self.engine = Engine(
            loop=asyncio.get_running_loop(),
            executor=self.executor,
            backend=backend or Backend(None),
            output=output,
            clock=lambda: self.now,
        )
        self.engine.start()
        self.executor.run_all()
        self.peer = Notes(self.engine)

    async def run(self, *commands: Command) -> list[tuple[Any, ...]]:
        """Run commands, and return what the peer was told of them."""
        for command in commands:
            await self.peer.put(command)
        self.executor.run_all()
        await turn()
        told, self.peer.told = self.peer.told, []
        return told


async def turn() -> None:
    """Let the courier deliver."""
    for _ in range(3):
        await asyncio.sleep(0)


def value_of(entry: tuple[Any, ...]) -> Any:
    """Return a completed command's value, as its reader decodes it."""
    assert entry[0] == "completed"
    (message,) = unpack(pack([Completed(id=entry[1], value=entry[2])]))
    assert isinstance(message, Completed)
    return decode(message.value)


# --- commands ----------------------------------------------------------------------------


async def test_a_command() -> None:
    """A command runs with its bindings, and its value is told, which says that it has begun."""
    bench = Bench()
    told = await bench.run(Command(id=1, code="a + b", bindings=encode({"a": 1, "b": 2})))
    assert [entry[:2] for entry in told] == [("completed", 1)]
    assert value_of(told[0]) == 3
    assert told[0][3] == {}
    assert bench.engine.queue.count == 0


async def test_a_command_that_lasts() -> None:
    """That it runs is told while it does, behind the end of the one before it."""
    bench = Bench()
    seen: list[str] = []

    def look() -> None:
        bench.engine.starts._look()
        seen.extend(bench.peer.kinds())

    bench.engine.namespace.bind("look", look)
    told = await bench.run(Command(id=1, code="1"), Command(id=2, code="look()"))
    assert seen == ["completed", "started"]
    assert [entry[:2] for entry in told] == [("completed", 1), ("started", 2), ("completed", 2)]


async def test_commands_share_the_namespace() -> None:
    """What one command assigns another sees, also one of another session."""
    bench = Bench()
    await bench.run(Command(id=1, code="shared = 5"))
    other = Notes(bench.engine, "other")
    await other.put(Command(id=1, code="shared + 1"))
    bench.executor.run_all()
    await turn()
    assert value_of(other.told[-1]) == 6


async def test_large_buffers_are_set_apart() -> None:
    """A value's large buffers are told beside it, under ids that begin with the command's."""
    bench = Bench()
    size = BULK_THRESHOLD
    told = await bench.run(Command(id=7, code=f"bytes({size})"))
    _, _, value, bulk = told[0]
    assert value.buffers == (BulkRef(id="7-0", size=size),)
    assert {name: bytes(buffer) for name, buffer in bulk.items()} == {"7-0": bytes(size)}


@pytest.mark.parametrize(("code", "is_copied"), [("h.pop()", False), ("h[0]", True)])
async def test_what_nothing_names_any_more_is_not_copied(code: str, is_copied: bool) -> None:
    """A large value that the worker lets go of leaves as it is; any other as it is now."""
    bench = Bench()
    told = await bench.run(
        Command(id=1, code="import numpy; h = [numpy.zeros(100_000)]; None"),
        Command(id=2, code=code),
    )
    (held,) = next(entry for entry in told if entry[:2] == ("completed", 2))[3].values()
    # What is copied, these notes have as bytes.
    assert isinstance(held, bytes) is is_copied


async def test_a_value_is_what_it_was() -> None:
    """A later command does not change the value of an earlier one that is still on its way."""
    bench = Bench()
    bindings = encode({"x": np.zeros(3)})
    told = await bench.run(
        Command(id=1, code="x = x.copy(); x", bindings=bindings, lifetime="eternal"),
        Command(id=2, code="x[:] = 1"),
    )
    first = next(entry for entry in told if entry[:2] == ("completed", 1))
    np.testing.assert_array_equal(value_of(first), np.zeros(3))


async def test_a_failure() -> None:
    """What the code raises is told as a fault; the next command runs."""
    bench = Bench()
    told = await bench.run(Command(id=1, code="1 / 0"), Command(id=2, code="2"))
    assert [entry[:2] for entry in told] == [
        ("started", 1),
        ("failed", 1),
        ("completed", 2),
    ]
    assert (told[1][2].type, told[1][3]) == ("ZeroDivisionError", None)
    assert bench.engine.queue.count == 0


@pytest.mark.parametrize(
    "code", ["raise SystemExit(3)", "raise KeyboardInterrupt", "import sys; sys.exit()"]
)
async def test_exits_are_failures(code: str) -> None:
    """Code that asks to exit ends its command, and not the worker."""
    told = await Bench().run(Command(id=1, code=code), Command(id=2, code="2"))
    assert [entry[0] for entry in told] == ["started", "failed", "completed"]


async def test_a_value_without_a_wire_form() -> None:
    """A value that cannot be sent fails its command with the reason."""
    told = await Bench().run(Command(id=1, code="object()"))
    assert told[1][0] == "failed"
    assert told[1][2].type.endswith("SerializationError")


async def test_bindings_that_cannot_be_read() -> None:
    """The command fails by an error that says where in which binding, and in which process."""
    lacking = {"$": "registered", "n": "money", "e": 1, "v": 1}
    told = await Bench().run(Command(id=1, code="x", bindings=Payload(header={"x": [0, lacking]})))
    text = """bindings["x"][1]: no type is registered under 'money' in the worker"""
    assert told[1][2].message.startswith(text)


@pytest.mark.parametrize("value", [[1], 3, None])
async def test_bindings_that_are_no_dict(value: object) -> None:
    """Bindings of another type fail their command."""
    told = await Bench().run(Command(id=1, code="1", bindings=encode(value)))
    assert told[1][2].message == f"bindings are a dict of names, not {type(value).__name__}"


async def test_dependents_of_a_failure() -> None:
    """Only those that depend on a failed command fail with it, unrun, and theirs in turn."""
    bench = Bench()
    told = await bench.run(
        Command(id=1, code="1 / 0"),
        Command(id=2, code="ran = True", after=(1,)),
        Command(id=3, code="'ran' in globals()"),
        Command(id=4, code="4", after=(3, 2)),
        Command(id=5, code="5", after=(3,)),
    )
    failed = {entry[1]: entry for entry in told if entry[0] == "failed"}
    assert {number: entry[3] for number, entry in failed.items()} == {1: None, 2: 1, 4: 2}
    assert failed[4][2] == failed[2][2] == failed[1][2]
    assert [entry[1] for entry in told if entry[0] == "started"] == [1]
    assert [entry[1] for entry in told if entry[0] == "completed"] == [3, 5]
    assert value_of(next(entry for entry in told if entry[:2] == ("completed", 3))) is False


async def test_failures_are_a_sessions_own() -> None:
    """Another session's command of the same id is no dependency."""
    bench = Bench()
    await bench.run(Command(id=1, code="1 / 0"))
    other = Notes(bench.engine, "other")
    await other.put(Command(id=2, code="2", after=(1,)))
    bench.executor.run_all()
    await turn()
    assert other.kinds() == ["completed"]


async def test_without_its_backend_nothing_halts() -> None:
    """Every command fails then, and no decision would help."""
    bench = Bench(backend=FailingBackend())
    job = await bench.peer.put(Command(id=1, code="1"))
    job.hold.wanted = True
    bench.executor.run_all()
    await turn()
    assert ("failed", 1) in [entry[:2] for entry in bench.peer.told]
    assert bench.engine.halts.info() == []


async def test_lifetimes() -> None:
    """Bindings go with their command, or are released in the queue's order, or stay for good."""
    bench = Bench()
    await bench.run(
        Command(id=1, code="None", bindings=encode({"stays": 1}), lifetime="eternal"),
        Command(id=2, code="None", bindings=encode({"held": 1}), lifetime="collected"),
        Command(id=3, code="None", bindings=encode({"goes": 1})),
    )
    assert bench.engine.namespace.names() == ("stays", "held")
    await bench.peer.put(Command(id=4, code="held"))
    release = Release(names=("held", "unknown"))
    bench.engine.release(release, bench.peer.claimant, Line(), 4, Hold())
    bench.executor.run_all()
    await turn()
    assert bench.peer.kinds() == ["completed"]
    assert bench.engine.namespace.names() == ("stays",)


# --- the backend -------------------------------------------------------------------------


async def test_the_import_comes_first() -> None:
    """The backend is imported ahead of every command, and all sessions are told."""
    bench = Bench()
    engine = Engine(loop=asyncio.get_running_loop(), executor=bench.executor, backend=Backend(None))
    peer = Notes(engine)
    engine.join(peer)
    states = [engine.state]
    engine.start()
    bench.executor.run_all()
    await turn()
    assert [*states, engine.state] == ["importing", "ready"]
    assert peer.told == [("notified", StateChanged(state="ready"))]


async def test_the_import_fails() -> None:
    """Sessions are told the fault, also later ones, and every command fails with it."""
    bench = Bench(backend=FailingBackend())
    bench.engine.join(bench.peer)
    await turn()
    (entry,) = bench.peer.told
    assert (entry[1].state, entry[1].fault.message) == ("failed", "no libcuda")
    bench.peer.told.clear()
    told = await bench.run(Command(id=1, code="1"))
    assert told[1][2].type == "ImportError"
    assert told[1][2].message == "the worker could not import tensorflow: no libcuda"
    late = Notes(bench.engine, "late")
    bench.engine.join(late)
    assert [type(entry[1]) for entry in late.told] == [StateChanged]


class NotingBackend(Backend):
    """A backend that has something to say to every error, and fails for some."""

    def __init__(self) -> None:
        super().__init__(None)

    def note(self, error: BaseException) -> str | None:
        return f"this worker has Keras {9 / len(str(error))}"


async def test_the_backend_adds_a_note() -> None:
    """What the backend has to say to an error stands in its notes; if that fails, no harm."""
    told = await Bench(backend=NotingBackend()).run(
        Command(id=1, code="raise ValueError('abc')"), Command(id=2, code="raise ValueError")
    )
    assert told[1][2].notes == ("this worker has Keras 3.0",)
    assert told[1][2].text.endswith("ValueError: abc")
    assert (told[3][2].type, told[3][2].notes) == ("ValueError", ())


class CleaningBackend(Backend):
    """A backend that notes what it is to clean, and fails for some."""

    def __init__(self) -> None:
        super().__init__(None)
        self.asked: list[tuple[str, str, Mapping[str, object]]] = []

    def clean(self, error: BaseException, code: str, bindings: Mapping[str, object]) -> None:
        self.asked.append((str(error), code, dict(bindings)))
        error.args = (f"clean {9 / len(str(error))}",)


async def test_the_backend_cleans_messages() -> None:
    """It sees the error with the command's code and bindings; if it fails, no harm."""
    backend = CleaningBackend()
    told = await Bench(backend=backend).run(
        Command(id=1, code="raise ValueError(a)", bindings=encode({"a": "abc"})),
        Command(id=2, code="raise ValueError"),
        Command(id=3, code="1"),
    )
    assert backend.asked == [
        ("abc", "raise ValueError(a)", {"a": "abc"}), ("", "raise ValueError", {}),
    ]  # fmt: skip
    assert told[1][2].message == "clean 3.0"
    assert (told[3][2].type, told[3][2].message) == ("ValueError", "")


# --- progress ---------------------------------------------------------------------------


async def test_reports_come_in_order_before_the_outcome() -> None:
    """As the command's own, in wire form, as it was at the time."""
    code = (
        "from asyncbridge.worker.progress import report\n"
        "logs = {'loss': float('nan')}\nreport(logs)\n"
        "logs['loss'] = 2.0\nreport(logs, transient=True)\n3"
    )
    told = await Bench().run(Command(id=7, code=code))
    assert [entry[0] for entry in told] == ["started", "notified", "notified", "completed"]
    first, second = (entry[1] for entry in told[1:3])
    assert (first.id, first.transient, second.transient) == (7, False, True)
    first, second = unpack(pack([first, second]))
    assert isinstance(first, Progress)
    assert isinstance(second, Progress)
    logs = decode(first.value)
    assert isinstance(logs, dict)
    assert math.isnan(logs["loss"])
    assert decode(second.value) == {"loss": 2.0}


@pytest.mark.parametrize(
    ("value", "kind"),
    [("object()", "SerializationError"), (f"bytes({BULK_THRESHOLD})", "TooLarge")],
)
async def test_a_report_that_cannot_travel_is_the_codes_error(value: str, kind: str) -> None:
    """At the line that reports; nothing was sent."""
    code = f"from asyncbridge.worker.progress import report\nreport({value})"
    told = await Bench().run(Command(id=1, code=code))
    assert [entry[0] for entry in told] == ["started", "failed"]
    assert told[1][2].type.endswith(kind)
    assert told[1][2].frames[0][1] == 2


async def test_a_report_outside_a_command_goes_nowhere() -> None:
    """A thread that a command has left behind may report for ever."""
    bench = Bench()
    keep = "from asyncbridge.worker.progress import report\nkept = report"
    told = await bench.run(Command(id=1, code=keep))
    report(1)
    await turn()
    assert [entry[0] for entry in told] == ["completed"]


# --- output ------------------------------------------------------------------------------


async def test_output_comes_before_the_outcome(printed: Printed) -> None:
    """What a command printed is told as its own, before its outcome."""
    bench = Bench(output=printed)
    flushed = printed.flushed
    bench.engine.namespace.bind("emit", lambda text: printed.pieces.append(("stdout", text)))
    told = await bench.run(Command(id=1, code="emit('one'); emit('two')"))
    assert [entry[0] for entry in told] == ["started", "notified", "notified", "completed"]
    assert [entry[1] for entry in told[1:3]] == [
        Output(id=1, stream="stdout", text="one"),
        Output(id=1, stream="stdout", text="two"),
    ]
    assert printed.flushed == flushed + 1


async def test_output_while_a_command_runs(printed: Printed) -> None:
    """What the loop reads during a command is that command's, and is told in its order."""
    bench = Bench(output=printed)

    def look() -> None:
        printed.pieces.append(("stderr", "three"))
        bench.engine._read_output()

    bench.engine.namespace.bind("emit", lambda text: printed.pieces.append(("stdout", text)))
    bench.engine.namespace.bind("look", look)
    told = await bench.run(Command(id=1, code="emit('one')"), Command(id=2, code="look()"))
    assert [entry[1] for entry in told if entry[0] == "notified"] == [
        Output(id=1, stream="stdout", text="one"),
        Output(id=2, stream="stderr", text="three"),
    ]
    assert [entry[0] for entry in told] == ["started", "notified", "completed"] * 2


async def test_the_workers_own_output(printed: Printed) -> None:
    """What is printed between commands goes to every session, and to those that come later."""
    bench = Bench(output=printed)
    other = Notes(bench.engine, "other")
    await turn()
    bench.engine.join(bench.peer)
    bench.engine.join(other)
    printed.pieces.append(("stderr", "a warning"))
    os.write(printed.pipes[1][1], b"x")
    await turn()
    expected = ("notified", Output(id=None, stream="stderr", text="a warning"))
    assert bench.peer.told == other.told == [expected]
    late = Notes(bench.engine, "late")
    bench.engine.join(late)
    assert late.told == [expected]
    for reader in printed.filenos():
        asyncio.get_running_loop().remove_reader(reader)


async def test_left() -> None:
    """A session that has left is told nothing more."""
    bench = Bench()
    bench.engine.join(bench.peer)
    bench.engine.leave(bench.peer)
    bench.engine.leave(bench.peer)
    bench.engine._broadcast(StateChanged(state="ready"))
    assert bench.peer.told == []


# --- info --------------------------------------------------------------------------------


async def test_info() -> None:
    """The worker describes itself in plain JSON data, the running command with its duration."""
    bench = Bench()
    infos: list[dict[str, Any]] = []

    def look() -> None:
        bench.now += 2.5
        infos.append(bench.engine.info())

    bench.engine.namespace.bind("look", look)
    bench.engine.join(bench.peer)
    idle = bench.engine.info()
    assert (idle["state"], idle["sessions"], idle["running"]) == ("importing", 1, None)
    await bench.run(Command(id=9, code="look()", label="fit"))
    (info,) = infos
    assert info["running"] == {"id": 9, "session": "s", "label": "fit", "seconds": 2.5}
    assert (info["queued"], info["queued_bytes"], info["pid"]) == (1, 6, os.getpid())
    assert (info["backend"], info["incarnation"]) == (None, bench.engine.incarnation)
    after = bench.engine.info()
    assert (after["state"], after["running"], after["queued"]) == ("ready", None, 0)


async def test_incarnations_differ() -> None:
    """Every engine is another incarnation."""
    assert Bench().engine.incarnation != Bench().engine.incarnation
