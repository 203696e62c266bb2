"""Commands that have failed and wait for a decision, of all sessions (the paper's section 4.6)."""

from __future__ import annotations

import ast
import hashlib
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, cast

import orjson

from asyncbridge.errors import TooLarge
from asyncbridge.protocol.messages import Buffer, Decide, Decided, Fault, Halted, Resumed
from asyncbridge.serialization.codec import encode
from asyncbridge.serialization.split import split
from asyncbridge.worker.queue import CANCELLED

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from asyncbridge.protocol.messages import Payload, StopMode
    from asyncbridge.worker.deciding import Deciding
    from asyncbridge.worker.queue import CommandQueue, Job

__all__ = ["DROPPED", "Halt", "Halts"]

DROPPED: Final = Fault(type="CommandDropped", message="the command was dropped from the queue")
"""What commands that depend on a dropped one fail with."""
REMEMBERED: Final = 1024
"""Decisions that are known afterwards, so that one which comes twice is told from another."""
WORDS: Final = {
    "raise": "Raise()",
    "ignore": "Ignore()",
    "replace": "Replace()",
    "retry": "Retry()",
    "drop": "DropQueue()",
}
NOTHING: Final = encode(None)
RAISE: Final = Decide(number=0, error="", kind="raise")
CODE_TOLD: Final = 4096
"""Characters of a halted command's code that are told to whoever asks what is halted."""


@dataclass(slots=True)
class Halt:
    """A command's error; it stays the same one when the command runs again and fails again.

    Attributes:
        job: The command.
        error: The error's id.
        fault: What the command failed by, the last time.
        epoch: How often it has halted.
        since: When it did so, by the worker's clock.
        until: When the error stands if nobody decides; None for never.
        timer: What ends the halt.
    """

    job: Job
    error: str
    fault: Fault
    epoch: int = 0
    since: float = 0.0
    until: float | None = None
    timer: asyncio.TimerHandle | None = None


class Halts:
    """What is halted in a worker; on the loop.

    Args:
        queue: The worker's.
        incarnation: Begins the ids of errors.
        later: Calls back after some seconds.
        clock: Seconds.
        replaced: Told of a value that is decided for a command; ahead of the session's going on.
    """

    def __init__(
        self,
        queue: CommandQueue,
        *,
        incarnation: str,
        later: Callable[[float, Callable[[], None]], asyncio.TimerHandle],
        clock: Callable[[], float],
        replaced: Callable[[Job, Payload], None] = lambda job, value: None,
    ) -> None:
        self._queue = queue
        self._replaced = replaced
        self._incarnation = incarnation
        self._later = later
        self._clock = clock
        self._count = 0
        self._halts: dict[str, Halt] = {}
        self._past: OrderedDict[tuple[str, int], tuple[str, bytes]] = OrderedDict()

    def begin(self, job: Job, fault: Fault) -> None:
        """Wait for a decision about a command that has failed; its session is held already."""
        halt = job.halt
        if halt is None:
            self._count += 1
            halt = job.halt = Halt(job, f"{self._incarnation[:8]}-{self._count}", fault)
        halt.epoch += 1
        halt.fault, halt.since, halt.until = fault, self._clock(), None
        # Its cancel may have come too late for its code: then nobody wants to be asked.
        cancelled = job.stop.asked and not job.stop.overdue
        if not job.hold.wanted or cancelled or not job.peer.knows(job):
            self._raise(halt)
            return
        self._halts[halt.error] = halt
        if (seconds := job.hold.timeout) is not None:
            self._limit(halt, seconds)
        job.peer.halted(Halted(id=job.command.id, error=halt.error, epoch=halt.epoch, fault=fault))

    def limit(self, error: str, epoch: int, seconds: float) -> None:
        """Let an error stand after so long, where its session has no limit of its own."""
        halt = self._halts.get(error)
        if halt is not None and halt.epoch == epoch:
            self._limit(halt, seconds)

    def decide(self, asker: Deciding, decision: Decide) -> None:
        """Do what is decided, and answer whoever has decided it; its values are all here."""
        refusal = self._judge(asker, decision)
        unknown = bool(refusal) and not self._knows(decision.error)
        asker.notify(Decided(number=decision.number, refusal=refusal, unknown=unknown))

    def cancel(self, job: Job, mode: StopMode) -> bool:
        """End a command that is halted, as its client wishes; tell whether it is one."""
        halt = job.halt
        if halt is None or halt.error not in self._halts:
            return False
        if mode != "dequeue":  # which is for those that have not begun
            self._end(halt, "Cancel", b"")
            job.failures.add(job.command.id, CANCELLED)
            self._queue.finished(job)
            job.peer.cancelled(job.command.id)
            self._queue.go_on(job)
        return True

    def give_up(self, job: Job) -> None:
        """End the halt of a command whose session has ended, if it is halted."""
        halt = job.halt
        if halt is not None and halt.error in self._halts:
            self._end(halt, "the end of its session", b"")
            self._queue.finished(job)
            self._queue.go_on(job)

    def all(self) -> tuple[Halt, ...]:
        """Return what is halted, the oldest error first."""
        return tuple(self._halts.values())

    def info(self) -> list[dict[str, Any]]:
        """Describe what is halted, in plain JSON data."""
        return [
            {
                "session": halt.job.peer.session,
                "name": halt.job.peer.name,
                "command": halt.job.command.id,
                "type": halt.fault.type,
                "message": halt.fault.message,
                **self.describe(halt),
            }
            for halt in self.all()
        ]

    def describe(self, halt: Halt) -> dict[str, Any]:
        """Tell what is halted for how long, and what becomes of it by itself."""
        now, job = self._clock(), halt.job
        return {
            "error_id": halt.error,
            "epoch": halt.epoch,
            "label": job.command.label,
            "code": job.code[:CODE_TOLD],
            "bindings": sorted(names_in(job.bindings, *job.edits)),
            "seconds": now - halt.since,
            "default": "raise",
            "remaining": None if halt.until is None else max(0.0, halt.until - now),
        }

    # --- what is decided ---

    def _judge(self, asker: Deciding, decision: Decide) -> str:
        """Do what is decided; return why not, if it cannot be."""
        halt = self._halts.get(decision.error)
        if halt is None or decision.epoch not in (0, halt.epoch):
            return self._judge_late(decision, halt)
        command = halt.job.command
        if decision.kind == "retry" and (command.streams or command.parts):
            return (
                f"command {command.id} cannot be retried: what has flowed into it, or out of it, "
                "does not flow again. Replace() it, or Raise() and send it anew"
            )
        if decision.kind == "retry" and (strange := strange_names(halt.job, decision)):
            has = ", ".join(map(repr, names_in(halt.job.bindings, *halt.job.edits)))
            return (
                f"Retry() gives {', '.join(map(repr, strange))}, which command {command.id} does "
                f"not use; its bindings are {has or 'none'}. For other names give code=, too"
            )
        try:
            value, bulk = split(decision.values or NOTHING, prefix=f"{command.id}")
        except TooLarge as error:
            return str(error)
        self._end(halt, decision.kind, digest(decision))
        if decision.kind == "ignore":
            self._replaced(halt.job, decision.values or NOTHING)
            self._ignore(halt.job, value, bulk)
        else:
            self._apply(halt, decision, asker)
        return ""

    def _judge_late(self, decision: Decide, halt: Halt | None) -> str:
        """Judge a decision about what is not halted, or not in this epoch."""
        epoch = decision.epoch or max(
            (e for name, e in self._past if name == decision.error), default=0
        )
        past = self._past.get((decision.error, epoch))
        if past is None:
            known = "" if halt is None else f"; that error halts in epoch {halt.epoch} now"
            where = f" in epoch {decision.epoch}" if decision.epoch else ""
            return f"nothing is halted by an error {decision.error!r}{where}{known}"
        if past == (decision.kind, digest(decision)):
            return ""
        return f"error {decision.error!r} was decided already: by {WORDS.get(past[0], past[0])}"

    def _knows(self, error: str) -> bool:
        return error in self._halts or any(name == error for name, _ in self._past)

    def _apply(self, halt: Halt, decision: Decide, asker: Deciding) -> None:
        job = halt.job
        match decision.kind:
            case "replace":
                job.replace_by(decision.code or "", decision.values)
                self._again(halt)
            case "retry":
                job.edit(decision.code, decision.values)
                self._again(halt)
            case "drop":
                self._raise(
                    halt, dropping=True, newest=decision.newest if asker is job.peer else None
                )
            case "raise":
                self._raise(halt)

    def _again(self, halt: Halt) -> None:
        job = halt.job
        job.peer.resumed(Resumed(id=job.command.id, error=halt.error, epoch=halt.epoch))
        self._queue.go_on(job, again=True)

    def _ignore(self, job: Job, value: Payload, bulk: dict[str, Buffer]) -> None:
        self._queue.finished(job)
        job.peer.completed(job.command.id, value, {**bulk}, stopped=False)
        self._queue.go_on(job)

    def _raise(self, halt: Halt, *, dropping: bool = False, newest: int | None = None) -> None:
        job = halt.job
        job.failures.add(job.command.id, halt.fault)
        self._queue.finished(job)
        if dropping:  # first: who sees that the command has failed knows what became of the rest
            job.peer.drop(newest, because=job.command.id, error=halt.error)
        job.peer.failed(job.command.id, halt.fault, None)
        self._queue.go_on(job)

    def _limit(self, halt: Halt, seconds: float) -> None:
        halt.until = self._clock() + seconds
        halt.timer = self._later(seconds, lambda: self._overdue(halt, seconds))

    def _overdue(self, halt: Halt, seconds: float) -> None:
        note = f"no decision about it came within {seconds:g} s, so the error stands"
        halt.fault = replace(halt.fault, notes=(*halt.fault.notes, note))
        self._end(halt, "raise", digest(RAISE))
        self._raise(halt)

    def _end(self, halt: Halt, how: str, told: bytes) -> None:
        del self._halts[halt.error]
        if halt.timer is not None:
            halt.timer.cancel()
            halt.timer = None
        self._past[halt.error, halt.epoch] = how, told
        if len(self._past) > REMEMBERED:
            self._past.popitem(last=False)


def strange_names(job: Job, decision: Decide) -> list[str]:
    """Return the names of a retry's bindings that are no others of the job, nor in its code."""
    given = names_in(decision.values)
    known = {*names_in(job.bindings, *job.edits)}
    if decision.code is not None or known.issuperset(given):
        return []
    try:
        tree = ast.parse(job.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # then that is what it fails by
        return []
    known.update(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))
    return [name for name in given if name not in known]


def names_in(*bindings: Payload | None) -> list[str]:
    """Return the names that bindings in wire form have, each once; what is none has none."""
    headers = [each.header for each in bindings if each is not None]
    return list(dict.fromkeys(n for header in headers if type(header) is dict for n in header))


def digest(decision: Decide) -> bytes:
    """Return what tells a decision from another one of its kind."""
    state = hashlib.blake2b(digest_size=16)
    state.update(repr(decision.code).encode("utf-8", "backslashreplace"))
    if decision.values is not None:
        state.update(orjson.dumps(decision.values.header))
        for buffer in decision.values.buffers:
            state.update(cast("Buffer", buffer))
    return state.digest()
