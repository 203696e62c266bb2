"""A session's ledger: what each id was used for, and what waits to be had."""

from __future__ import annotations

import pytest

from asyncbridge.protocol.ledger import DROPPED_KEPT, HEAD_BYTES, Ledger, digest_of
from asyncbridge.protocol.messages import BulkRef, Cancelled, Command, Completed, Payload

VALUE = Payload(header=1, size=10)


def bound(number: int, **given: object) -> Command:
    """Return a command with bindings."""
    fields = {"code": "x", "bindings": Payload(header={"x": 1}, buffers=(b"ab",), size=2), **given}
    return Command(id=number, **fields)  # type: ignore[arg-type]  # of the types that it takes


def finished(ledger: Ledger, number: int, size: int = 10) -> None:
    """Have a command come to its value."""
    ledger.finish(Completed(id=number, value=VALUE), "completed", size)


def code_of(ledger: Ledger, command: Command) -> str | None:
    """Return what is wrong with a command whose id was used."""
    withheld = ledger.judge(command)
    return None if withheld is None else withheld.code


@pytest.mark.parametrize("command", [Command(id=1, code="x"), bound(1)])
def test_the_same_command_is_a_repetition(command: Command) -> None:
    """While it is unfinished, and while its outcome waits; then it was delivered."""
    ledger = Ledger()
    ledger.take(command, 1)
    assert ledger.judge(command) is None
    finished(ledger, 1)
    assert ledger.judge(command) is None
    ledger.acknowledge([1])
    assert code_of(ledger, command) == "delivered"


@pytest.mark.parametrize(
    "other",
    [
        Command(id=1, code="y"),
        Command(id=1, code="x"),
        bound(1, after=(3,)),
        bound(1, lifetime="eternal"),
        bound(1, bindings=Payload(header={"x": 2}, buffers=(b"ab",), size=2)),
        bound(1, bindings=Payload(header={"x": 1}, buffers=(b"ac",), size=2)),
        bound(1, bindings=Payload(header={"x": 1}, buffers=(BulkRef(id="1-0", size=2),), size=2)),
    ],
)
def test_another_command_is_a_conflict(other: Command) -> None:
    """Whatever it differs in, before and after the first one's end."""
    ledger = Ledger()
    ledger.take(bound(1), 1)
    assert code_of(ledger, other) == "conflict"
    finished(ledger, 1)
    assert code_of(ledger, other) == "conflict"


def test_equal_trees_have_equal_digests() -> None:
    """Though one of them shares its parts, and the other does not."""
    part = ["a" * 3, 2.5]
    shared = bound(1, bindings=Payload(header=[part, part]))
    apart = bound(1, bindings=Payload(header=[["aaa", 2.5], ["".join("aaa"), 2.5]]))
    assert digest_of(shared) == digest_of(apart)


def test_a_finished_command_keeps_no_bindings() -> None:
    """They are slices of a frame, all of which would stay."""
    ledger = Ledger()
    ledger.take(bound(1), 1)
    finished(ledger, 1)
    assert ledger.outcomes[1].command is None


def test_memory_is_what_waits() -> None:
    """It rises with each outcome and falls with each acknowledgement, to nothing."""
    ledger = Ledger()
    for number in (1, 2):
        ledger.take(Command(id=number, code="xyz"), 1)
        finished(ledger, number, size=100)
    assert ledger.memory == 2 * (HEAD_BYTES + 3 + 100)
    ledger.acknowledge([1, 1, 7])
    assert ledger.memory == HEAD_BYTES + 3 + 100
    ledger.acknowledge([2])
    assert (ledger.memory, ledger.is_empty) == (0, True)


def test_what_is_lent_does_not_count() -> None:
    """Until the client is gone: then it is this process's own."""
    ledger = Ledger()
    ledger.take(Command(id=1, code=""), 1)
    finished(ledger, 1, size=1000)
    ledger.hold(1, {"1-0": b"x"}, lent=900)
    assert ledger.memory == HEAD_BYTES + 100
    ledger.unlend()
    assert ledger.memory == HEAD_BYTES + 1000
    ledger.acknowledge([1])
    assert ledger.memory == 0


def test_a_returned_buffer_was_had() -> None:
    """Its memory is another value's soon: the outcome is not told again."""
    ledger = Ledger()
    ledger.take(Command(id=1, code=""), 1)
    finished(ledger, 1)
    ledger.hold(1, {"1-0": b"x"})
    ledger.returned(["1-p0-0", "odd", "2-0"])
    assert 1 in ledger.outcomes
    ledger.returned(["1-0"])
    assert ledger.gone(1).code == "delivered"


def test_why_there_is_nothing() -> None:
    """Unused, delivered and dropped are told apart, with the reason for the last."""
    ledger = Ledger()
    for number in (2, 3):
        ledger.take(Command(id=number, code="", overtakes=1), 1)
        finished(ledger, number)
    ledger.acknowledge([2])
    ledger.drop(3, "no room at noon")
    assert [ledger.gone(number).code for number in (1, 2, 3, 4)] == [
        "unused", "delivered", "dropped", "unused",
    ]  # fmt: skip
    assert ledger.gone(3).message == "no room at noon"
    assert "newest is 3" in ledger.gone(4).message


def test_few_reasons_are_remembered() -> None:
    """Of what was dropped long ago it is no longer known that it was dropped."""
    ledger = Ledger()
    for number in range(1, DROPPED_KEPT + 2):
        ledger.take(Command(id=number, code=""), 1)
        finished(ledger, number)
        ledger.drop(number, "why")
    assert [ledger.gone(number).code for number in (1, 2)] == ["delivered", "dropped"]


def test_give_up_leaves_what_is_others() -> None:
    """A goodbye ends what its client waits for; the rest is held."""
    ledger = Ledger()
    for number in (1, 2, 3, 4):
        ledger.take(Command(id=number, code=""), 1)
    finished(ledger, 1)
    finished(ledger, 2)
    ledger.disclaim()
    ledger.outcomes[1].claimed = ledger.unfinished[3].claimed = True
    assert ledger.give_up() == [3]
    assert (list(ledger.outcomes), list(ledger.unfinished)) == ([2], [4])


def test_rows() -> None:
    """The list has each command's label and state, and the bytes of those that take some."""
    ledger = Ledger()
    ledger.take(Command(id=1, code="", label="a" * 100), 5)
    ledger.take(Command(id=2, code="", label="b"), 6)
    ledger.finish(Cancelled(id=1), "cancelled", 0)
    assert ledger.rows() == [(1, "a" * 80, "cancelled", 0), (2, "b", "queued", 6)]
