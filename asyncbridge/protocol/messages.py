"""The messages that cross the bridge, as frozen data.

Commands travel to the worker, notifications travel back (the paper's section 4). Which side
may send what, and when, stands in ``states.py``; their bytes, in ``serialization.frames``.
The order of the fields is the order on the wire: new fields go last, with a default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from asyncbridge.protocol import (
    buffers,
    decisions,
    flowing,
    holding,
    joining,
    keeping,
    payloads,
    queueing,
)
from asyncbridge.protocol.records import record

Buffer = payloads.Buffer
BulkRef = payloads.BulkRef
Fault = payloads.Fault
Payload = payloads.Payload
Join = joining.Join
Joined = joining.Joined
Prioritize = queueing.Prioritize
QueueReport = queueing.QueueReport
QueueRequest = queueing.QueueRequest
Placed = buffers.Placed
Returned = buffers.Returned
Recall = buffers.Recall
Reuse = buffers.Reuse
Digest = buffers.Digest
Keep = keeping.Keep
Kept = keeping.Kept
Release = keeping.Release
Tie = keeping.Tie
Question = keeping.Question
Claim = holding.Claim
Detach = holding.Detach
Holding = holding.Holding
Withheld = holding.Withheld
Halting = decisions.Halting
Decide = decisions.Decide
Halted = decisions.Halted
Resumed = decisions.Resumed
Decided = decisions.Decided
Dropped = decisions.Dropped
StreamTaken = flowing.StreamTaken
StreamItem = flowing.StreamItem
StreamEnd = flowing.StreamEnd
StreamWait = flowing.StreamWait

PROTOCOL_VERSION = 1
"""The newest protocol version that this code speaks."""
OLDEST_VERSION = 1
"""The oldest protocol version that this code speaks."""

WorkerState = Literal["importing", "ready", "failed"]
StreamName = Literal["stdout", "stderr"]
StopMode = Literal["auto", "dequeue", "graceful", "interrupt"]


# --- from the client ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The client's first message: the versions it speaks and the session it means.

    Attributes:
        arena: The name of its folder of shared memory; empty when it has none.
        largest: Bytes of the largest value that it takes; 0 for any.
        locals: Whether it wants errors to tell the variables of their frames.
        references: Whether it takes references to what has no wire form.
        debug: Whether it wants to be told who keeps a binding's value alive after its command.
    """

    oldest: int
    newest: int
    session: str
    client: str = ""
    arena: str = ""
    largest: int = 0
    locals: bool = False
    references: bool = False
    debug: bool = False


@record
class Command:
    """A piece of Python code with its bindings (the paper's section 4.2).

    Attributes:
        id: Unique in its session, and rising as they are sent.
        code: Python source; the value of its last expression is the command's value.
        bindings: A dict of names to values, in wire form.
        lifetime: How long the bindings stay: ``"command"``, ``"eternal"``, ``"collected"``, or
            ``"leased "`` and seconds.
        after: Ids of commands whose failure fails this one, unrun.
        label: What a person would call it, for ``info`` and errors.
        aside: Whether others may be run before it while its buffers are on the way.
        streams: Names among the bindings that stand for streams; their values describe these.
        parts: Whether its value is wanted in parts, as far as its code gives them.
        run_ms: Milliseconds that it may run; 0 for any.
        priority: Higher ones of the session are run first; equal ones, in the order of ids.
        overtakes: The lowest id that may still come, though this one is higher; else 0.
        uses: Ids of commands whose values stand among the bindings, by their places here.
        keep: Whether its value stays in the worker: 0 for not, or as ``keeping`` has it.
        sets: Names that its code sets, and that are collected.
    """

    id: int
    code: str
    bindings: Payload | None = None
    lifetime: str = "command"
    after: tuple[int, ...] = ()
    label: str = ""
    aside: bool = False
    streams: tuple[str, ...] = ()
    parts: bool = False
    run_ms: int = 0
    priority: int = 0
    overtakes: int = 0
    uses: tuple[int, ...] = ()
    keep: int = 0
    sets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Take a command out of the queue; bring one that runs to its end.

    Attributes:
        mode: For one that runs: ``"graceful"`` asks its code to stop, ``"interrupt"`` raises an
            exception in it, ``"auto"`` does the first where the code looks, else the second, and
            ``"dequeue"`` leaves it alone.
        lacking: Whether some of its large buffers will not come.
    """

    id: int
    mode: StopMode = "auto"
    lacking: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledge:
    """The client has seen these outcomes; the worker may forget them."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class InfoRequest:
    """Ask for the worker's present state; answered while the GPU thread works.

    Attributes:
        about: What of it: the worker itself, what lives there, or the memory that this takes.
    """

    id: int
    about: Question = "worker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Ask for a ``Pong`` with the same nonce."""

    nonce: int


# --- from the worker ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Welcome:
    """The worker's answer to ``Hello``.

    Attributes:
        version: The protocol version of this connection.
        incarnation: Id of this life of the worker's process.
        window: Commands that the session may have unfinished in the worker.
        window_bytes: Bytes that they may hold together.
        frame_bytes: The largest frame that the worker reads.
        state: ``importing`` until the backend is there, then ``ready``, or ``failed``.
        arena: The name of the worker's folder of shared memory; empty when it has none, or does
            not see the client's.
        proof: What it has read in the client's: so both see the same memory.
        keeps: Bytes of streamed buffers that it keeps, to be used again.
        largest: Bytes of the largest value that it takes; 0 for any.
    """

    version: int
    incarnation: str
    window: int
    window_bytes: int
    frame_bytes: int
    state: WorkerState
    arena: str = ""
    proof: str = ""
    keeps: int = 0
    largest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The worker's other answer to ``Hello``: why not; or that the session is another's now."""

    code: Literal["version", "session", "protocol", "taken"]
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StateChanged:
    """The worker's own state, with a fault when it failed to import its backend."""

    state: WorkerState
    fault: Fault | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """These commands stand in the queue."""

    ids: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The command runs in the GPU thread."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Text that a command (or, with no id, the worker itself) printed.

    Attributes:
        dropped: Bytes that were left out before this text, because nobody read fast enough.
    """

    id: int | None
    stream: StreamName
    text: str
    dropped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a running command reports of how far it has come.

    Attributes:
        value: The report, in wire form; none of its buffers is a ``BulkRef``.
        transient: Whether a later report of the command makes this one needless.
    """

    id: int
    value: Payload
    transient: bool = False


@record
class Completed:
    """The command's value (the paper's *notify*).

    Attributes:
        stopped: Whether its code was told to stop meanwhile, by a ``Cancel``, and saw it.
        objects: The kept objects that the value refers to, once for each place.
        holders: Who keeps the values of its bindings alive, in words, for a client that debugs.
    """

    id: int
    value: Payload
    stopped: bool = False
    objects: tuple[int, ...] = ()
    holders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The command raised (the paper's *notifyError*), or a dependency of it did.

    Attributes:
        because: Id of the failed command that it depends on, when it was never run.
    """

    id: int
    fault: Fault
    because: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancelled:
    """The command was taken out of the queue, or was brought to its end after it had started.

    Attributes:
        began: Whether it had started.
    """

    id: int
    began: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """The answer to ``InfoRequest``: plain JSON data."""

    id: int
    info: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What the worker has to say of itself: a warning for the client's log.

    Attributes:
        kind: ``"memory"``: it holds much of the machine's. ``"recycle"``: by the policy that it
            was started with, it is to be replaced, and takes up no command until then.
            ``"holders"``: who keeps what was bound for a command that has failed, or was stopped;
            to a client that debugs, as often as that is so.
        text: For a person.
    """

    kind: Literal["memory", "recycle", "holders"]
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pong:
    """The answer to ``Ping``."""

    nonce: int


# --- from either -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodbye:
    """The sender closes this connection on purpose."""

    reason: str = ""


ClientMessage = (
    Join | Hello | Command | Cancel | Acknowledge | Release | InfoRequest | Ping | Recall | Reuse
    | Placed | Returned | StreamTaken | StreamItem | StreamEnd | Goodbye | Claim | Detach
    | QueueRequest | Prioritize | Halting | Decide | Keep | Tie
)  # fmt: skip
WorkerMessage = (
    Joined | Welcome | Refused | StateChanged | Accepted | Started | Output | Progress
    | Completed | Failed | Cancelled | Info | Pong | Digest | Placed | Returned | StreamTaken
    | StreamItem | Goodbye | Withheld | Holding | QueueReport | Halted | Resumed | Decided
    | Dropped | Kept | Advice
)  # fmt: skip
Message = ClientMessage | WorkerMessage
