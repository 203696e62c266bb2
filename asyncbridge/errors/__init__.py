"""Every error that asyncbridge raises, under one root.

The name says who erred: ``Local…`` and plain names are the caller's, ``Remote…`` is the
peer's, ``Worker…`` is the process at the other end.

    AsyncBridgeError
    ├── BridgeClosed              the bridge was closed, or never opened
    │   └── Detached              it has left its session, where commands go on
    ├── QueueFull                 the client's backlog is at its bound
    ├── WrongLoopError            called from another event loop or thread   (RuntimeError)
    ├── CodegenError              code that cannot be built                  (ValueError)
    │   └── IdentifierError       a name that Python or the bridge refuses
    ├── SerializationError        a value with no wire form                  (TypeError)
    ├── DecodeError               bytes that are no value                    (ValueError)
    ├── TooLarge                  a size over a limit                        (ValueError)
    ├── CommandDropped            not run, by a decision about one before it
    ├── DecisionError             about no halted command, or not the first   (ValueError)
    ├── DeadlockError             a wait that holds up what it waits for     (RuntimeError)
    ├── SourceError               what a stream's items come from failed
    ├── TransferError             large data could not be moved
    ├── ResultExpired             an outcome that cannot be had any more
    ├── UnknownCommand            an id that no command of the session had   (LookupError)
    ├── IdConflict                an id that is another command's
    ├── StaleReference            an object in the worker that is gone       (ReferenceError)
    ├── NameTaken                 a name in the worker that is another's     (ValueError)
    ├── InUse                     not deleted, since somebody holds it       (RuntimeError)
    ├── ProtocolError
    │   ├── LocalProtocolError    this side broke the protocol
    │   ├── RemoteProtocolError   the peer broke the protocol
    │   └── ProtocolVersionError  the two sides share no version
    ├── ConnectError              no connection to a worker
    │   ├── SessionTaken          another client has taken over the session
    │   ├── AuthenticationError   the token or the peer's user was refused
    │   └── SocketPermissionError the socket's folder is open to other users
    ├── WorkerError
    │   ├── WorkerStartError      the worker did not come up
    │   └── WorkerLost            the worker's process ended
    │       └── StateLost         not run: it needs what was lost with that
    └── RemoteError               code raised in the worker
        ├── RemoteValueError …    one for each built-in exception, and for the three of names
        │                         and objects above, which it is too: ``except ValueError``
        │                         catches it (``remote_errors.py``)
        └── DependencyError       not run: a command it depends on had failed
"""

from __future__ import annotations

from asyncbridge.errors.base import AsyncBridgeError, SentCommand
from asyncbridge.errors.commands import (
    CommandDropped,
    DeadlockError,
    DecisionError,
    IdConflict,
    ResultExpired,
    UnknownCommand,
)
from asyncbridge.errors.connections import (
    AuthenticationError,
    ConnectError,
    SessionTaken,
    SocketPermissionError,
)
from asyncbridge.errors.local import (
    BridgeClosed,
    CodegenError,
    DecodeError,
    Detached,
    IdentifierError,
    QueueFull,
    SerializationError,
    SourceError,
    TooLarge,
    TransferError,
    WrongLoopError,
)
from asyncbridge.errors.protocol import (
    LocalProtocolError,
    ProtocolError,
    ProtocolVersionError,
    RemoteProtocolError,
)
from asyncbridge.errors.references import InUse, NameTaken, StaleReference
from asyncbridge.errors.remote import DependencyError, RemoteError
from asyncbridge.errors.workers import Phase as Phase
from asyncbridge.errors.workers import StateLost, WorkerError, WorkerLost, WorkerStartError

__all__ = [  # noqa: RUF022 - grouped by what they are about
    # the root
    "AsyncBridgeError",
    # this side: the bridge, and values on their way
    "BridgeClosed",
    "Detached",
    "QueueFull",
    "WrongLoopError",
    "CodegenError",
    "IdentifierError",
    "SerializationError",
    "DecodeError",
    "TooLarge",
    "SourceError",
    "TransferError",
    # commands that were not run, or cannot be asked about
    "CommandDropped",
    "DecisionError",
    "DeadlockError",
    "ResultExpired",
    "UnknownCommand",
    "IdConflict",
    # names and objects in the worker
    "StaleReference",
    "NameTaken",
    "InUse",
    # the protocol
    "ProtocolError",
    "LocalProtocolError",
    "RemoteProtocolError",
    "ProtocolVersionError",
    # connections
    "ConnectError",
    "SessionTaken",
    "AuthenticationError",
    "SocketPermissionError",
    # the worker's process
    "WorkerError",
    "WorkerStartError",
    "WorkerLost",
    "StateLost",
    # the worker's code
    "RemoteError",
    "DependencyError",
    # what some of them tell
    "SentCommand",
]

# Whichever file they stand in: texts, pickles and the names on the wire know them by this one.
for _name in __all__:
    globals()[_name].__module__ = __name__
