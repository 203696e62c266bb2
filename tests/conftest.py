"""What every test shares: Hypothesis profiles, their order, watches for leaks and blocking."""

from __future__ import annotations

import gc
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from blockbuster import blockbuster_ctx
from hypothesis import settings

from asyncbridge.transport.loops import new_event_loop

if TYPE_CHECKING:
    from collections.abc import Iterator

# Deterministic on every run, so that a red test is red for everyone; time limits belong to
# pytest-timeout, since a shared machine stalls. The nightly run looks for new examples.
settings.register_profile("default", derandomize=True, deadline=None, max_examples=60)
settings.register_profile("nightly", deadline=None, max_examples=2_000, print_blob=True)
settings.load_profile("default")  # `--hypothesis-profile` comes later, and wins

GRACE_S = 5.0
"""What ends a thread or a child may still be under way when a test returns."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the fast tests first: unmarked, then slow, then TensorFlow's; else keep the order."""

    def cost(item: pytest.Item) -> int:
        if item.get_closest_marker("tensorflow"):
            return 2
        return 1 if item.get_closest_marker("slow") else 0

    items.sort(key=cost)


def pytest_collection_finish() -> None:
    """Keep what lives to the end out of the garbage collector's walks.

    Thousands of collected tests make a collection take 0.1 s; every check for leaks needs two,
    and CPython's own tests make hundreds.
    """
    gc.collect()
    gc.freeze()


@dataclass(frozen=True, slots=True, kw_only=True)
class Census:
    """What this process holds that outlives a test when it is forgotten."""

    threads: frozenset[threading.Thread]
    children: frozenset[psutil.Process]
    descriptors: frozenset[tuple[int, str]]
    folders: frozenset[Path]
    roots: tuple[str, ...]

    @classmethod
    def take(cls, *roots: str) -> Census:
        """Count, once what nobody refers to has been collected; folders only in these roots."""
        gc.collect()
        return cls(
            threads=frozenset(threading.enumerate()),
            children=frozenset(psutil.Process().children(recursive=True)),
            descriptors=frozenset(_descriptors()),
            folders=frozenset(path for root in roots for path in Path(root).glob("asyncbridge-*")),
            roots=roots,
        )

    def leaks(self) -> list[str]:
        """Describe what is here now and was not then, in words."""
        for thread in set(threading.enumerate()) - self.threads:
            thread.join(GRACE_S)
        psutil.wait_procs(
            set(psutil.Process().children(recursive=True)) - self.children, timeout=GRACE_S
        )
        now = Census.take(*self.roots)
        opened = now.descriptors - self.descriptors
        # A capfd that was asked for earlier may redirect the two only now; those are pytest's.
        captured = {what for fd, what in opened if fd in {1, 2}}
        return [
            *(f"thread {thread.name!r}" for thread in now.threads - self.threads),
            *(f"child process {_describe(child)}" for child in now.children - self.children),
            *(f"descriptor {fd}: {what}" for fd, what in opened if what not in captured),
            *(f"folder {folder}" for folder in now.folders - self.folders),
        ]


@pytest.fixture
def no_leaks(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Fail the test that leaves a thread, child, descriptor or ``asyncbridge-*`` folder.

    The test gets temporary and runtime folders of its own, and one for shared memory, so that
    what runs beside it is not taken for its leak; their path is short, for the sockets in them.
    """
    tmp_path_factory.getbasetemp()  # made on first use: not in a folder that goes with this test
    with tempfile.TemporaryDirectory(prefix="ab-") as private:
        monkeypatch.setattr(tempfile, "tempdir", private)
        monkeypatch.setenv("TMPDIR", private)
        monkeypatch.setenv("XDG_RUNTIME_DIR", private)
        monkeypatch.setenv("ASYNCBRIDGE_SHARED_MEMORY_FOLDER", private)
        new_event_loop().close()  # libuv opens a pipe for the whole process with its first loop
        before = Census.take(private)
        yield
        leaks = before.leaks()
    if leaks:
        pytest.fail("left open: " + ", ".join(sorted(leaks)), pytrace=False)


@pytest.fixture
def no_blocking() -> Iterator[None]:
    """Raise ``BlockingError`` where asyncbridge's own code blocks the thread of an event loop."""
    with blockbuster_ctx("asyncbridge"):
        yield


def _descriptors() -> Iterator[tuple[int, str]]:
    root = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    for link in root.iterdir():
        try:
            yield int(link.name), link.readlink().as_posix()
        except OSError:  # the listing's own, closed again; or no link, as on macOS
            continue


def _describe(child: psutil.Process) -> str:
    try:
        return f"{child.pid} {' '.join(child.cmdline())!r}"
    except psutil.Error:
        return str(child.pid)
