from __future__ import annotations

import subprocess
import sys

import pytest

import asyncbridge
from tests.limits import HANG_S

PUBLIC = {
    "__version__",
    # opening a bridge, and what it tells
    "AUTO", "Bridge", "CommandInfo", "HeldCommand", "OutputLine", "OutputReader", "Restart",
    "StateReader", "WorkerInfo", "connect", "current_bridge",
    # what lives in the worker
    "BindingInfo", "MemoryInfo", "Recycle", "Recycled", "Ref", "RemoteExpression", "RemoteModule",
    # what is decided about commands that fail
    "Decision", "DropQueue", "Halt", "Ignore", "Raise", "Replace", "Retry",
    # promises, progress and lifetimes
    "Binding", "LogReader", "ProgressReader", "Promise", "WatchedPromise",
    "AnyTrainingEvent", "BatchEnd", "EpochBegin", "EpochEnd", "TrainBegin", "TrainEnd",
    "TrainingEvent", "ValidationEnd",
    # types of one's own
    "serializable", "serializes", "by_path",
    # data that flows
    "Stream", "stream",
    # errors
    "AsyncBridgeError", "AuthenticationError", "BridgeClosed", "CodegenError",
    "CommandDropped", "ConnectError", "DeadlockError", "DecisionError", "DecodeError", "DependencyError", "IdentifierError", "LocalProtocolError",
    "ProtocolError", "ProtocolVersionError", "QueueFull", "RemoteError",
    "RemoteProtocolError", "SentCommand", "SerializationError", "SocketPermissionError",
    "SourceError", "StateLost", "TooLarge", "TransferError", "WorkerError", "WorkerLost",
    "WorkerStartError", "WrongLoopError",
    "Detached", "IdConflict", "ResultExpired", "SessionTaken", "UnknownCommand",
    "InUse", "NameTaken", "StaleReference",
}  # fmt: skip


def fresh(code: str) -> str:
    """Run code in an interpreter of its own; return what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    return done.stdout.strip()


def test_the_public_names_are_these() -> None:
    """What is added or taken away is added or taken away here as well."""
    assert set(asyncbridge.__all__) == PUBLIC
    assert len(asyncbridge.__all__) == len(PUBLIC)


def test_every_public_name_is_there_and_is_listed() -> None:
    """``dir`` shows them before they are imported."""
    for name in asyncbridge.__all__:
        assert getattr(asyncbridge, name) is not None
        assert name in dir(asyncbridge)


def test_every_error_is_public() -> None:
    """Whatever ``asyncbridge.errors`` lists can be caught by its public name."""
    from asyncbridge import errors  # noqa: PLC0415 - beside the package, as a user has it

    assert set(errors.__all__) <= set(asyncbridge.__all__)
    for name in errors.__all__:
        assert getattr(asyncbridge, name) is getattr(errors, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As with any module, so that ``hasattr`` and the import statement work."""
    assert not hasattr(asyncbridge, "nothing_of_the_kind")
    with pytest.raises(AttributeError, match="asyncbridge.*nothing_of_the_kind"):
        asyncbridge.nothing_of_the_kind  # noqa: B018


def test_importing_it_needs_the_standard_library_alone() -> None:
    """Errors and promises too: neither aiohttp, numpy, orjson, rich nor typer is loaded."""
    code = (
        "import sys\n"
        "import asyncbridge, asyncbridge.errors, asyncbridge.promise\n"
        "asyncbridge.Promise, asyncbridge.WorkerLost\n"
        "print(*sorted({m.partition('.')[0] for m in sys.modules} - sys.stdlib_module_names))"
    )
    loaded = fresh(code).split()
    assert "asyncbridge" in loaded
    for heavy in ("aiohttp", "numpy", "orjson", "rich", "typer", "keras", "tensorflow", "uvloop"):
        assert heavy not in loaded


def test_connect_alone_loads_nothing_heavy() -> None:
    """What a bridge needs is imported in a thread, once it opens."""
    code = (
        "import sys\nimport asyncbridge\nasyncbridge.connect(backend=None)\n"
        "print([m for m in ('aiohttp', 'numpy', 'orjson', 'keras') if m in sys.modules])"
    )
    assert fresh(code) == "[]"


def test_the_version_is_that_of_the_installed_package() -> None:
    """One place says it: the package's metadata."""
    version = asyncbridge.__version__
    assert version[0].isdigit()
    assert version.count(".") >= 2
