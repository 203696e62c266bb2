"""Errors that halt (the paper's section 4.6): what is told of them, and what is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from asyncbridge.protocol import payloads

__all__ = [
    "Decide",
    "Decided",
    "DecisionKind",
    "Dropped",
    "Halted",
    "Halting",
    "Resumed",
]

# Under names of this module, where what reads and writes the classes looks for them.
Fault = payloads.Fault
Payload = payloads.Payload

DecisionKind = Literal["raise", "ignore", "replace", "retry", "drop"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Halting:
    """From the client: whether this session's commands halt at one that fails, from now on.

    Attributes:
        timeout_ms: Milliseconds that a halt waits for a decision; 0 for ever.
    """

    on: bool
    timeout_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decide:
    """From a client, not necessarily the command's own: what becomes of a halted command.

    Attributes:
        number: The asker's own; the answer has it.
        error: The error's id.
        kind: What is decided.
        epoch: Which halt of that error is meant; 0 for the present one.
        code: For ``replace``, what runs instead; for ``retry``, edited code if it is edited.
        values: For ``replace`` its bindings; for ``retry`` those that are edited, a dict; for
            ``ignore`` the command's value.
        newest: The newest command that this session had when it was decided, or when it learnt
            of it by a ``Dropped`` that asks; of its own commands ``drop`` drops none behind it.
    """

    number: int
    error: str
    kind: DecisionKind
    epoch: int = 0
    code: str | None = None
    values: Payload | None = None
    newest: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Halted:
    """From the worker: the command has failed, and its session's others wait for a decision.

    Attributes:
        id: The command's.
        error: Id of the error, unique among the worker's incarnations.
        epoch: Counts how often this command has halted, from 1.
        fault: What it failed by.
    """

    id: int
    error: str
    epoch: int
    fault: Fault


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed:
    """From the worker: the halted command stands at the head of its session, to run again."""

    id: int
    error: str
    epoch: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """From the worker: the answer to ``Decide``.

    Attributes:
        number: That of the question.
        refusal: Why the decision does not count; empty when it does.
        unknown: Whether that is because nothing has ever halted by such an error, as far as the
            worker remembers.
    """

    number: int
    refusal: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """From the worker: these commands will not run, by a decision about one before them.

    Attributes:
        because: The command that had halted.
        error: Id of its error.
        asks: Whether somebody else has decided that: then the client says by the same decision
            which command is its newest, and whatever comes before that is dropped, too.
    """

    ids: tuple[int, ...]
    because: int
    error: str
    asks: bool = False
