"""What fails on this side: the bridge itself, and values on their way out or in."""

from __future__ import annotations

from asyncbridge.errors.base import AsyncBridgeError

__all__ = [
    "BridgeClosed",
    "CodegenError",
    "DecodeError",
    "Detached",
    "IdentifierError",
    "QueueFull",
    "SerializationError",
    "SourceError",
    "TooLarge",
    "TransferError",
    "WrongLoopError",
]


class BridgeClosed(AsyncBridgeError):
    """The bridge is closed, or was never opened."""


class Detached(BridgeClosed):
    """The bridge has left its session; the text says how to get the command's outcome.

    Attributes:
        command: The command's id there.
    """

    def __init__(self, message: str, *, command: int) -> None:
        super().__init__(message)
        self.command = command


class QueueFull(AsyncBridgeError):
    """The client's backlog is at its bound; await ``bridge.drain()`` before sending more."""


class WrongLoopError(AsyncBridgeError, RuntimeError):
    """Called from an event loop or a thread that does not own the object."""


class CodegenError(AsyncBridgeError, ValueError):
    """A tree of nodes that stands for no Python code."""


class IdentifierError(CodegenError):
    """A name that is not a plain Python identifier, with the reason."""


class SerializationError(AsyncBridgeError, TypeError):
    """A value with no wire form.

    Attributes:
        path: Where in the value it stands, such as ``bindings["x"][3]``.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class DecodeError(AsyncBridgeError, ValueError):
    """Bytes from the peer that stand for no value."""


class TooLarge(AsyncBridgeError, ValueError):
    """A size over a limit; nothing was sent.

    Attributes:
        path: What is too large, such as ``bindings["x"]``; empty where that has no name.
    """

    def __init__(self, message: str, *, path: str = "") -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class SourceError(AsyncBridgeError):
    """What a stream's source gave or raised cannot be used; the exception is the cause."""


class TransferError(AsyncBridgeError):
    """This process could not move large data; the command that it belongs to fails alone.

    Its cause is what the system has refused, such as another open file.
    """
