"""asyncbridge: drive Keras from asyncio, with Keras in another process.

>>> import asyncbridge
>>> from asyncbridge import models as keras

Everything is imported when it is first used: this module, and ``asyncbridge.promise``, need
the standard library alone.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncbridge.client import AUTO as AUTO
    from asyncbridge.client import BindingInfo as BindingInfo
    from asyncbridge.client import Bridge as Bridge
    from asyncbridge.client import CommandInfo as CommandInfo
    from asyncbridge.client import Halt as Halt
    from asyncbridge.client import HeldCommand as HeldCommand
    from asyncbridge.client import MemoryInfo as MemoryInfo
    from asyncbridge.client import OutputLine as OutputLine
    from asyncbridge.client import OutputReader as OutputReader
    from asyncbridge.client import Recycle as Recycle
    from asyncbridge.client import Recycled as Recycled
    from asyncbridge.client import Restart as Restart
    from asyncbridge.client import StateReader as StateReader
    from asyncbridge.client import WorkerInfo as WorkerInfo
    from asyncbridge.client import connect as connect
    from asyncbridge.client import current_bridge as current_bridge
    from asyncbridge.decisions import Decision as Decision
    from asyncbridge.decisions import DropQueue as DropQueue
    from asyncbridge.decisions import Ignore as Ignore
    from asyncbridge.decisions import Raise as Raise
    from asyncbridge.decisions import Replace as Replace
    from asyncbridge.decisions import Retry as Retry
    from asyncbridge.errors import AsyncBridgeError as AsyncBridgeError
    from asyncbridge.errors import AuthenticationError as AuthenticationError
    from asyncbridge.errors import BridgeClosed as BridgeClosed
    from asyncbridge.errors import CodegenError as CodegenError
    from asyncbridge.errors import CommandDropped as CommandDropped
    from asyncbridge.errors import ConnectError as ConnectError
    from asyncbridge.errors import DeadlockError as DeadlockError
    from asyncbridge.errors import DecisionError as DecisionError
    from asyncbridge.errors import DecodeError as DecodeError
    from asyncbridge.errors import DependencyError as DependencyError
    from asyncbridge.errors import Detached as Detached
    from asyncbridge.errors import IdConflict as IdConflict
    from asyncbridge.errors import IdentifierError as IdentifierError
    from asyncbridge.errors import InUse as InUse
    from asyncbridge.errors import LocalProtocolError as LocalProtocolError
    from asyncbridge.errors import NameTaken as NameTaken
    from asyncbridge.errors import ProtocolError as ProtocolError
    from asyncbridge.errors import ProtocolVersionError as ProtocolVersionError
    from asyncbridge.errors import QueueFull as QueueFull
    from asyncbridge.errors import RemoteError as RemoteError
    from asyncbridge.errors import RemoteProtocolError as RemoteProtocolError
    from asyncbridge.errors import ResultExpired as ResultExpired
    from asyncbridge.errors import SentCommand as SentCommand
    from asyncbridge.errors import SerializationError as SerializationError
    from asyncbridge.errors import SessionTaken as SessionTaken
    from asyncbridge.errors import SocketPermissionError as SocketPermissionError
    from asyncbridge.errors import SourceError as SourceError
    from asyncbridge.errors import StaleReference as StaleReference
    from asyncbridge.errors import StateLost as StateLost
    from asyncbridge.errors import TooLarge as TooLarge
    from asyncbridge.errors import TransferError as TransferError
    from asyncbridge.errors import UnknownCommand as UnknownCommand
    from asyncbridge.errors import WorkerError as WorkerError
    from asyncbridge.errors import WorkerLost as WorkerLost
    from asyncbridge.errors import WorkerStartError as WorkerStartError
    from asyncbridge.errors import WrongLoopError as WrongLoopError
    from asyncbridge.models.mirrors.events import AnyTrainingEvent as AnyTrainingEvent
    from asyncbridge.models.mirrors.events import BatchEnd as BatchEnd
    from asyncbridge.models.mirrors.events import EpochBegin as EpochBegin
    from asyncbridge.models.mirrors.events import EpochEnd as EpochEnd
    from asyncbridge.models.mirrors.events import TrainBegin as TrainBegin
    from asyncbridge.models.mirrors.events import TrainEnd as TrainEnd
    from asyncbridge.models.mirrors.events import TrainingEvent as TrainingEvent
    from asyncbridge.models.mirrors.events import ValidationEnd as ValidationEnd
    from asyncbridge.promise import LogReader as LogReader
    from asyncbridge.promise import ProgressReader as ProgressReader
    from asyncbridge.promise import Promise as Promise
    from asyncbridge.promise import WatchedPromise as WatchedPromise
    from asyncbridge.references import Binding as Binding
    from asyncbridge.references import Ref as Ref
    from asyncbridge.references import RemoteExpression as RemoteExpression
    from asyncbridge.references import RemoteModule as RemoteModule
    from asyncbridge.serialization.files import by_path as by_path
    from asyncbridge.serialization.registration import serializable as serializable
    from asyncbridge.serialization.registration import serializes as serializes
    from asyncbridge.streams import Stream as Stream
    from asyncbridge.streams import stream as stream

    __version__: str

_HOMES = {
    "asyncbridge.client": (
        "AUTO", "BindingInfo", "Bridge", "CommandInfo", "Halt", "HeldCommand", "MemoryInfo",
        "OutputLine", "OutputReader", "Recycle", "Recycled", "Restart", "StateReader",
        "WorkerInfo", "connect", "current_bridge",
    ),
    "asyncbridge.decisions": ("Decision", "DropQueue", "Ignore", "Raise", "Replace", "Retry"),
    "asyncbridge.errors": (
        "AsyncBridgeError", "AuthenticationError", "BridgeClosed", "CodegenError",
        "CommandDropped", "ConnectError", "DeadlockError", "DecisionError", "DecodeError",
        "DependencyError", "Detached", "IdConflict", "IdentifierError", "InUse",
        "LocalProtocolError", "NameTaken", "ProtocolError", "ProtocolVersionError", "QueueFull",
        "RemoteError", "RemoteProtocolError", "ResultExpired", "SentCommand",
        "SerializationError", "SessionTaken", "SocketPermissionError", "SourceError",
        "StaleReference", "StateLost", "TooLarge", "TransferError", "UnknownCommand",
        "WorkerError", "WorkerLost", "WorkerStartError", "WrongLoopError",
    ),
    "asyncbridge.references": ("Binding", "Ref", "RemoteExpression", "RemoteModule"),
    "asyncbridge.models.mirrors.events": (
        "AnyTrainingEvent", "BatchEnd", "EpochBegin", "EpochEnd", "TrainBegin", "TrainEnd",
        "TrainingEvent", "ValidationEnd",
    ),
    "asyncbridge.promise": ("LogReader", "ProgressReader", "Promise", "WatchedPromise"),
    "asyncbridge.serialization.files": ("by_path",),
    "asyncbridge.serialization.registration": ("serializable", "serializes"),
    "asyncbridge.streams": ("Stream", "stream"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

# fmt: off
__all__ = [  # noqa: RUF022 - grouped by what they are
    "__version__",
    # opening a bridge, and what it tells
    "AUTO", "Bridge", "CommandInfo", "HeldCommand", "OutputLine", "OutputReader", "Restart",
    "StateReader", "WorkerInfo", "connect", "current_bridge",
    # what lives in the worker
    "Binding", "BindingInfo", "MemoryInfo", "Recycle", "Recycled", "Ref", "RemoteExpression",
    "RemoteModule",
    # promises, and what is told of the work that they wait for
    "Promise", "LogReader", "ProgressReader", "WatchedPromise",
    # what a training tells of itself
    "AnyTrainingEvent", "BatchEnd", "EpochBegin", "EpochEnd", "TrainBegin", "TrainEnd",
    "TrainingEvent", "ValidationEnd",
    # what is decided about commands that fail
    "Decision", "DropQueue", "Halt", "Ignore", "Raise", "Replace", "Retry",
    # types of one's own, and arrays in files
    "serializable", "serializes", "by_path",
    # data that flows
    "Stream", "stream",
    # errors
    "AsyncBridgeError", "AuthenticationError", "BridgeClosed", "CodegenError", "CommandDropped",
    "ConnectError", "DeadlockError", "DecisionError", "DecodeError", "DependencyError",
    "Detached", "IdConflict", "IdentifierError", "InUse", "LocalProtocolError", "NameTaken",
    "ProtocolError", "ProtocolVersionError", "QueueFull", "RemoteError", "RemoteProtocolError",
    "ResultExpired", "SentCommand", "SerializationError", "SessionTaken",
    "SocketPermissionError", "SourceError", "StaleReference", "StateLost", "TooLarge",
    "TransferError", "UnknownCommand", "WorkerError", "WorkerLost", "WorkerStartError",
    "WrongLoopError",
]
# fmt: on


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - 10 ms that few need

        return version("asyncbridge-keras")
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module 'asyncbridge' has no attribute {name!r}")
    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
