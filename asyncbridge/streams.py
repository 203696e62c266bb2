"""``stream``: data that flows into a command while it runs, item by item."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from types import AsyncGeneratorType, GeneratorType
from typing import Any, TypeAlias

__all__ = ["Items", "Stream", "stream"]

Items: TypeAlias = Iterable[Any] | AsyncIterable[Any]


class Stream:
    """What ``stream`` returns: a source of items, for one command.

    Attributes:
        steps: How many items a turn has; None where that is unknown.
        batch_size: Rows that each item is made to have; None for items as they come.
        restarts: Whether it can begin anew, as each epoch does.
        label: What errors call it.
    """

    __slots__ = (
        "_has_begun",
        "_source",
        "batch_size",
        "check",
        "convert",
        "floats",
        "label",
        "restarts",
        "steps",
    )
    _wire_advice = (
        "a stream is a binding, or a model's data, by itself: pass it beside the others, by a name "
        "of its own"
    )

    def __init__(
        self,
        source: Items | Callable[[], Items],
        *,
        batch_size: int | None = None,
        steps: int | None = None,
    ) -> None:
        _check_source(source)
        _check_positive("batch_size", batch_size)
        _check_positive("steps", steps)
        if steps is None and batch_size is None and isinstance(source, (list, tuple)):
            steps = len(source)
        self._source = source
        self.steps = steps
        self.batch_size = batch_size
        self.restarts = not isinstance(source, (Iterator, AsyncIterator))
        self._has_begun = False
        self.label = ""
        self.floats = False
        """Whether floats become Keras's own kind of floats, as those of arrays do."""
        self.convert: Callable[[Any, int], object] | None = None
        """Makes of an item, and its place in its turn, what is sent."""
        self.check: Callable[[Any, int], None] | None = None
        """Looks at what is about to be sent, and at the place of the item that it comes from."""

    @property
    def is_asynchronous(self) -> bool | None:
        """Whether it is advanced on the event loop; None if only a call of the source tells."""
        if isinstance(self._source, AsyncIterable):
            return True
        return False if isinstance(self._source, Iterable) else None

    def begin(self) -> Items:
        """Return what gives the items of one turn; may take as long as the source's call does.

        Raises:
            TypeError: The source's function returns nothing of the kind.
            ValueError: The source was good for one turn, which it has had.
        """
        source = self._source
        if not self.restarts and (self._has_begun or is_over(source)):
            kind = type(source).__name__
            raise ValueError(
                f"this {kind} is used up: make a new one, or pass a function that does"
            )
        self._has_begun = True
        made = source if isinstance(source, (Iterable, AsyncIterable)) else source()
        if not isinstance(made, (Iterable, AsyncIterable)):
            raise TypeError(
                f"a stream's function returns what can be iterated over, not {type(made).__name__}"
            )
        return made

    def describe(self) -> dict[str, Any]:
        """Return what the worker is told of it."""
        return {"steps": self.steps, "restarts": self.restarts, "floats": self.floats}

    def __repr__(self) -> str:
        steps = "" if self.steps is None else f" steps={self.steps}"
        return f"<Stream of {type(self._source).__name__}{steps}>"


def stream(
    source: Items | Callable[[], Items],
    *,
    batch_size: int | None = None,
    steps: int | None = None,
) -> Stream:
    """Let data flow into a command while it runs, instead of sending it whole beforehand.

    As ``x`` of a model's ``fit``, ``evaluate`` or ``predict``, or as ``validation_data``, each item
    is a batch: ``x``, ``(x, y)`` or ``(x, y, sample_weight)``. As a binding of ``bridge.send``, it
    is an iterable of any values. What the source raises rejects the command's promise.

    Args:
        source: Chunks in a list; anything that ``for`` or ``async for`` goes through; or a function
            that returns such, called for each epoch. A generator is good for one. ``for`` is done
            in a thread of its own, ``async for`` on the bridge's event loop.
        batch_size: Cut the items, which hold rows, into batches of so many.
        steps: How many items an epoch has, where only you know.

    Raises:
        TypeError: The source is none of these.
        ValueError: A number is not positive.
    """
    return Stream(source, batch_size=batch_size, steps=steps)


def is_over(source: object) -> bool:
    """Tell whether a source is a generator that has come to its end."""
    if isinstance(source, GeneratorType):
        return source.gi_frame is None
    return isinstance(source, AsyncGeneratorType) and source.ag_frame is None


def _check_source(source: object) -> None:
    if hasattr(source, "dtype") or hasattr(source, "columns"):
        raise TypeError(
            f"stream() takes what gives batches one after another, and this is one "
            f"{type(source).__name__}: pass it as it is, fit(x, y), or cut it into batches by "
            "stream([(x, y)], batch_size=32)"
        )
    if isinstance(source, (str, bytes, dict)):
        raise TypeError(
            f"stream() takes what gives batches one after another, not {type(source).__name__}: "
            "wrap what is one batch in a list"
        )
    if isinstance(source, tuple) and any(hasattr(part, "dtype") for part in source):
        raise TypeError(
            "stream() takes what gives batches one after another, and a tuple of arrays is one "
            "batch: pass them as they are, fit(x, y), or wrap it, stream([(x, y)])"
        )
    if not callable(source) and not isinstance(source, (Iterable, AsyncIterable)):
        raise TypeError(
            "stream() takes a list of chunks, a generator, an iterable or a function that returns "
            f"one, not {type(source).__name__}"
        )


def _check_positive(name: str, value: object) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}= is a whole number, not {value!r}")
    if value < 1:
        raise ValueError(f"{name}= is a positive number, not {value}")
