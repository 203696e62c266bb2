"""Ids that were used are known for good, or their session takes no more of them."""

from __future__ import annotations

import sys
from random import Random

import pytest

from asyncbridge.worker.problems import Problem
from asyncbridge.worker.registers import Prints, Registers


def refusal(registers: Registers, session: str, key: str) -> tuple[int, str] | None:
    """Return what a command is refused with."""
    try:
        registers.open(session)
        registers.check(session, key)
    except Problem as problem:
        return problem.status, problem.code
    return None


def unknown(registers: Registers, session: str, key: str) -> tuple[int, str]:
    """Return what is said of a command of which nothing is there."""
    problem = registers.why_unknown(session, key)
    return problem.status, problem.code


def test_prints_are_a_set() -> None:
    """What was added is found, and nothing else."""
    prints, random = Prints(), Random(1)
    texts = [f"{random.getrandbits(64):x}" for _ in range(2000)]
    for text in texts[:1000]:
        prints.add(text)
    assert [text in prints for text in texts] == [True] * 1000 + [False] * 1000
    assert len(prints) == 1000


def test_prints_are_small() -> None:
    """They take some nine bytes each."""
    prints = Prints()
    for number in range(100_000):
        prints.add(f"id-{number}")
    assert sum(map(sys.getsizeof, prints._shards.values())) < 1_050_000


@pytest.mark.parametrize("key", ["1", "7", "007", "0", "-3", "a", "9" * 40])
def test_an_id_is_used_once(key: str) -> None:
    """Whether it is a number or not, and also after its session had to make room."""
    registers = Registers()
    registers.open("s")
    registers.check("s", key)
    registers.note("s", ["x", key, "12"])
    for _ in range(2):
        assert refusal(registers, "s", key) == (410, "ResultExpired")
        assert unknown(registers, "s", key) == (410, "ResultExpired")
        assert refusal(registers, "s", "5") is refusal(registers, "other", key) is None
        assert unknown(registers, "s", "5") == unknown(registers, "new", key)
        assert unknown(registers, "s", "5") == (404, "UnknownCommand")
        registers.close("s")


def test_ids_of_the_workers_choice() -> None:
    """They take no room; nobody asks for one that was never given."""
    registers = Registers(noted=1)
    registers.open("s")
    registers.note("s", ["~1", "~2", "~3"])
    registers.close("s")
    assert not registers._registers
    assert unknown(registers, "s", "~1") == (410, "ResultExpired")


def test_numbers_in_a_row_take_no_room() -> None:
    """However many there are; gaps between them do."""
    registers = Registers(noted=2)
    registers.open("s")
    registers.note("s", map(str, range(1, 5000)))
    registers.note("s", ["6000", "7000"])
    assert refusal(registers, "s", "6500") is None
    registers.note("s", ["8000"])
    assert refusal(registers, "s", "6500") == (410, "SessionEnded")


def test_too_many_ids_end_a_session() -> None:
    """The one that has most: it takes no new commands, and the others go on."""
    registers = Registers(noted=5)
    for name in ("few", "many", "new"):
        registers.open(name)
    registers.note("few", ["a", "b"])
    registers.note("many", ["c", "d", "e"])
    registers.note("new", ["f"])
    assert refusal(registers, "many", "new") == (410, "SessionEnded")
    assert refusal(registers, "many", "c") == (410, "SessionEnded")
    assert unknown(registers, "many", "c") == (410, "SessionEnded")
    registers.close("many")
    assert refusal(registers, "few", "a") == refusal(registers, "new", "f")
    assert refusal(registers, "few", "new") is None
    registers.note("few", ["g", "h"])
    assert refusal(registers, "few", "new") is None  # there is room again


def test_too_many_sessions() -> None:
    """Of those that are not open the oldest is at its end; in the end no new one begins."""
    registers = Registers(sessions=2, ended=1)
    for name in ("a", "b"):
        registers.open(name)
        registers.note(name, ["1"])
        registers.close(name)
    registers.open("a")
    registers.open("c")
    assert refusal(registers, "b", "2") == (410, "SessionEnded")
    assert refusal(registers, "d", "1") == (503, "TooManySessions")
    assert refusal(registers, "a", "2") is None
