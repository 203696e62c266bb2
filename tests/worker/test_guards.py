from __future__ import annotations

import pytest

from asyncbridge.worker.guards import attempt, cut, members, slot, type_name


def test_an_attempt_survives_whatever_is_raised() -> None:
    """Even what ends a program."""

    def leave() -> str:
        raise SystemExit

    assert attempt(leave, "otherwise") == "otherwise"
    assert attempt(lambda: "value", "otherwise") == "value"


def test_attributes_are_read_past_the_class() -> None:
    """A class's own attributes of the same names do not count."""

    class Liar(Exception):
        __cause__ = KeyError("a lie")
        exceptions = (1,)

    assert slot(Liar(), "__cause__") is None
    assert members(Liar()) == ()
    inner = ValueError()
    assert members(ExceptionGroup("g", [inner])) == (inner,)


def test_names_are_told_without_the_metaclass() -> None:
    """A built-in has no module, a module that is no text is left out."""

    class Meta(type):
        def __getattribute__(cls, name: str) -> object:
            raise RuntimeError(name)

    class Own(metaclass=Meta):
        __module__ = "own"

    assert type_name(Own) == "own.test_names_are_told_without_the_metaclass.<locals>.Own"
    assert type_name(ValueError) == "ValueError"
    assert type_name(type(len)) == "builtin_function_or_method"
    for module in ("builtins", 5):
        liar = type("ValueError", (Exception,), {"__module__": module})
        assert type_name(liar) == "<unknown>.ValueError"
    long = type("n" * 10_000, (Exception,), {"__module__": "m" * 10_000})
    assert len(type_name(long)) < 1100


@pytest.mark.parametrize(("text", "told"), [("short", "short"), ("\udc80", "\\udc80")])
def test_what_fits_is_whole(text: str, told: str) -> None:
    """With lone surrogates as escapes, so that it can be sent."""
    assert cut(text, 100) == told


def test_head_and_tail_are_kept() -> None:
    """With the number of bytes between them."""
    assert cut("a" * 1000 + "z" * 1000, 148) == f"{'a' * 50} … [1900 bytes left out] … {'z' * 50}"
