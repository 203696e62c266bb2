"""What clients do with an object in several steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.worker.visits import Iteration, Visit, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class Manager:
    """Notes how it was left; swallows what it is told to."""

    def __init__(self, *swallows: type[BaseException]) -> None:
        self.swallows = swallows
        self.left: list[BaseException | None] = []

    def __enter__(self) -> str:
        return "inside"

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        self.left.append(error)
        return isinstance(error, self.swallows)


def test_items_in_groups() -> None:
    """The last group says that it is the last, also when it is empty."""
    iteration = Iteration([1, 2, 3])
    assert iteration.take(2) == ([1, 2], False)
    assert iteration.take(2) == ([3], True)
    assert Iteration("ab").take(2) == (["a", "b"], False)
    assert Iteration("").take(2) == ([], True)


def test_it_takes_no_more_than_it_was_asked_for() -> None:
    """An endless iterator is no trouble."""
    iteration = Iteration(iter(int, 1))
    assert iteration.take(3) == ([0, 0, 0], False)


def test_an_error_behind_items() -> None:
    """It comes with the next call; alone, at once."""

    def failing() -> Iterator[int]:
        yield 1
        raise ValueError("no more")

    iteration = Iteration(failing())
    assert iteration.take(5) == ([1], False)
    with pytest.raises(ValueError, match="no more"):
        iteration.take(5)
    assert iteration.take(5) == ([], True)
    alone = Iteration(failing())
    assert alone.take(1) == ([1], False)
    with pytest.raises(ValueError, match="no more"):
        alone.take(1)


def test_left_without_an_error() -> None:
    """Its value is what it gave; there is nothing to swallow."""
    manager = Manager(Exception)
    visit = Visit(manager)
    assert visit.value == "inside"
    assert not visit.leave(None)
    assert manager.left == [None]


@pytest.mark.parametrize("swallows", [True, False])
def test_left_with_an_error(swallows: bool) -> None:
    """It is of the same class, with its text; whether it is swallowed goes back, and no error."""
    manager = Manager(*[KeyError] * swallows)
    assert Visit(manager).leave(("KeyError", "x")) is swallows
    (error,) = manager.left
    assert type(error) is KeyError
    assert error.args == ("x",)
    assert error.__traceback__ is not None


def test_an_error_on_leaving() -> None:
    """It goes on, with the block's as its context."""

    class Broken(Manager):
        def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
            raise OSError("stuck")

    with pytest.raises(OSError, match="stuck") as caught:
        Visit(Broken()).leave(("ValueError", "mine"))
    assert isinstance(caught.value.__context__, ValueError)


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("ValueError", ValueError),
        ("CancelledError", RuntimeError),
        ("app.Own", RuntimeError),
        ("UnicodeDecodeError", RuntimeError),
        ("print", RuntimeError),
        ("SystemExit", RuntimeError),
    ],
)
def test_classes(kind: str, expected: type[BaseException]) -> None:
    """Only plain built-in errors are made: no other name is called."""
    error = error_of(kind, "text")
    assert type(error) is expected
    assert "text" in str(error)
    if expected is RuntimeError:
        assert str(error) == f"{kind}: text"


@pytest.mark.parametrize("key", ["x", "it's", 5, ("a", None)])
def test_a_missing_key(key: object) -> None:
    """It is the key itself again, whose repr is the error's text; a text that is none stays."""
    assert error_of("KeyError", str(KeyError(key))).args == (key,)
    assert error_of("KeyError", "no (key").args == ("no (key",)
    assert error_of("ValueError", "5").args == ("5",)
