"""What is refused before a command is made of it."""

from __future__ import annotations

import pytest

from asyncbridge.client.checks import (
    check_code,
    check_flag,
    check_flags,
    check_name,
    check_source,
    check_timeout,
    milliseconds,
)
from asyncbridge.protocol.limits import LONGEST_S


@pytest.mark.parametrize("name", [None, "", "fit of the first model"])
def test_names(name: str | None) -> None:
    """Any text is one, or nothing."""
    check_name(name)


def test_what_is_no_name() -> None:
    """It is shown."""
    with pytest.raises(TypeError, match=r"a text that people read, not 3"):
        check_name(3)


@pytest.mark.parametrize("timeout", [None, 1, 0.5, LONGEST_S])
def test_time_limits(timeout: float | None) -> None:
    """Positive numbers of seconds, or none."""
    check_timeout(timeout)


@pytest.mark.parametrize(
    ("timeout", "error"),
    [
        ("5", TypeError),
        (True, TypeError),
        (0, ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
    ],
)
def test_what_is_no_time_limit(timeout: object, error: type[Exception]) -> None:
    """Texts and bools are not numbers; nothing is no limit."""
    with pytest.raises(error, match="number of seconds"):
        check_timeout(timeout)


@pytest.mark.parametrize("timeout", [LONGEST_S * 1.01, 1e300, 10**300, float("inf")])
def test_a_time_limit_that_is_too_long(timeout: float) -> None:
    """There is one bound for all of them, below what any timer takes."""
    with pytest.raises(ValueError, match="run_timeout= is 1000000000 seconds at most"):
        check_timeout(timeout, "run_timeout")


@pytest.mark.parametrize("choice", [True, False])
def test_choices(choice: bool) -> None:
    """True and False are choices."""
    check_flag("writable", choice)


@pytest.mark.parametrize("choice", ["no", 1, None])
def test_what_is_no_choice(choice: object) -> None:
    """A text such as "no" would pass for true."""
    with pytest.raises(TypeError, match="writable= is True or False, not"):
        check_flag("writable", choice)


def test_choices_that_may_be_left_open() -> None:
    """None is none of them; the one that is wrong is named."""
    check_flags(writable=None, copy=True, one_hot=False)
    with pytest.raises(TypeError, match="one_hot= is True or False, not 'no'"):
        check_flags(writable=None, copy=True, one_hot="no")


@pytest.mark.parametrize("source", ["1 +", "def f(:\n  pass", "a\0b"])
def test_what_is_no_source(source: str) -> None:
    """It is a syntax error where the code was written."""
    with pytest.raises(SyntaxError):
        check_source(source)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (None, "code is Python source, or a node of asyncbridge.codegen, not None"),
        (b"1", r"code is text, not bytes: code.decode\(\) makes text of them"),
        (print, r"not <built-in function print>; run\(\) takes a function"),
    ],
)
def test_what_is_no_code(code: object, told: str) -> None:
    """Each is told as what it is."""
    with pytest.raises(TypeError, match=told):
        check_code(code)


def test_limits_as_messages_have_them() -> None:
    """None is none, and the shortest is a millisecond."""
    assert [milliseconds(seconds) for seconds in (None, 0.0001, 2.5)] == [0, 1, 2500]
