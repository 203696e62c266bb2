"""Which calls a later one depends on: those that have not succeeded, nor failed and been seen.

Commands are sent without waiting for one another, so by the time that one fails, others that
build on it are on their way. They name it as a dependency, and the worker rejects them with
its error. Once the user has seen the failure, as a ``try`` around direct Keras would, the
object is as usable again as Keras left it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncbridge.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncbridge.errors import RemoteError
    from asyncbridge.models.mirrors.origins import Origin
    from asyncbridge.promise import Promise

__all__ = ["Call", "Ledger", "blocking"]


class Call:
    """One command about mirrors.

    Args:
        origin: Where the mirror was made that it makes, or that it is a method of.
        holds: All that its code names; it stays alive until the command is settled.

    Attributes:
        origins: Where the mirrors among those were made, by their names in the worker.
        causes: The calls whose failure fails this one, unrun.
        promise: The command's own; None before it is sent, and once it has succeeded.
    """

    __slots__ = (
        "_dependents",
        "_hushed",
        "_seen",
        "_succeeded",
        "causes",
        "holds",
        "origin",
        "origins",
        "promise",
    )

    def __init__(self, origin: Origin | None, holds: Iterable[object]) -> None:
        self.origin = origin
        self.holds = tuple(holds)
        self.origins: Mapping[str, Origin] = {}
        self.causes: tuple[Call, ...] = ()
        self.promise: Promise[Any] | None = None
        self._dependents: list[Call] = []
        self._succeeded = False
        self._seen = False
        # Its mark below was taken off by us, not by the user.
        self._hushed = False

    def wanted(self) -> tuple[Call, ...]:
        """Return the causes that the worker must know: one that has failed is enough."""
        return next(((cause,) for cause in self.causes if cause.failed), self.causes)

    def started(self, promise: Promise[Any]) -> None:
        """Note that the command was sent."""
        self.promise = promise
        for cause in self.causes:
            if not cause._seen:
                cause._dependents.append(self)
        promise.add_done_callback(self._settled)

    def _settled(self, promise: Promise[Any]) -> None:
        self.holds = ()
        if promise.state == "fulfilled":
            # Nothing is asked of it any more: a chain of calls must not grow for ever.
            self._succeeded, self.promise, self.causes = True, None, ()
            self._dependents.clear()

    @property
    def succeeded(self) -> bool:
        """Whether it ran to its end."""
        return self._succeeded or self._state == "fulfilled"

    @property
    def failed(self) -> bool:
        """Whether it is known to have failed."""
        return self._state == "rejected"

    @property
    def blocks(self) -> bool:
        """Whether a later call fails with it, or may yet."""
        return not self.succeeded and self._state != "cancelled" and not self._seen

    @property
    def _state(self) -> str:
        # Not exception(): to look must not count as handling the error.
        return "pending" if self.promise is None else self.promise.state

    def look(self) -> None:
        """Note whether the user has seen the failure, in its own promise or a dependent's."""
        if not self.failed or self._seen:
            return
        if any(call._was_retrieved for call in self._with_dependents()):
            self._seen = True
            self._hush()
            self._dependents.clear()

    def _with_dependents(self) -> Iterable[Call]:
        found: dict[int, Call] = {id(self): self}
        todo: list[Call] = [self]
        while todo:
            for call in todo.pop()._dependents:
                if id(call) not in found:
                    found[id(call)] = call
                    todo.append(call)
        return found.values()

    @property
    def _was_retrieved(self) -> bool:
        if self._seen or self._hushed or not self.failed:
            return self._seen
        # asyncio's own mark: it reports an exception that nobody has retrieved.
        return not getattr(self.promise, "_log_traceback", False)

    def _hush(self) -> None:
        """Keep asyncio from reporting this failure as one that nobody retrieved."""
        if self.promise is not None and self.failed:
            self._hushed = True
            self.promise.exception()

    def close(self) -> None:
        """Leave the report of an unseen failure to a dependent, if there is one."""
        if self._dependents:
            self._hush()

    def annotate(self, error: RemoteError) -> None:
        """Add to an error where the mirrors that it was raised in were made."""
        for origin in self._origins(error):
            error.add_note(origin.note())

    def _origins(self, error: RemoteError) -> list[Origin]:
        known = [self.origins[name] for name in error.subjects if name in self.origins]
        if known or self.origin is None:
            return known
        if not isinstance(error, DependencyError):
            return [self.origin]
        failed = None if error.cause is None else error.cause.command
        return [cause.origin for cause in self.causes if cause.origin and cause.is_command(failed)]

    def is_command(self, command_id: int | None) -> bool:
        """Tell whether it is the command with this id."""
        return self.promise is not None and self.promise.command_id == command_id


class Ledger:
    """The calls on one mirror: its creation, which is never forgiven, and later ones."""

    __slots__ = ("_calls", "creation")

    def __init__(self) -> None:
        self.creation: Call | None = None
        self._calls: list[Call] = []

    def add(self, call: Call) -> None:
        """Add a later call."""
        self._calls.append(call)

    def look(self) -> None:
        """Note which failures the user has seen, and forget those and what succeeded."""
        for call in self._all():
            call.look()
        self._calls = [call for call in self._calls if call.blocks]

    def blocking(self) -> list[Call]:
        """Return what a new call depends on."""
        calls = [call for call in self._calls if call.blocks]
        if self.creation is None or self.creation.succeeded:
            return calls
        return [self.creation, *calls]

    def close(self) -> None:
        """Leave one report of each failure that nobody has seen; the mirror is garbage."""
        for call in self._all():
            call.look()
            call.close()

    def _all(self) -> list[Call]:
        return self._calls if self.creation is None else [self.creation, *self._calls]


def blocking(ledgers: Iterable[Ledger]) -> list[Call]:
    """Return what a new call on these mirrors depends on, each once, creations first."""
    ledgers = list(ledgers)
    # All of them first: a failure seen on one mirror counts for its cause on another.
    for ledger in ledgers:
        ledger.look()
    calls = {id(call): call for ledger in ledgers for call in ledger.blocking()}
    return list(calls.values())
