"""Which calls a later one depends on: those that have not succeeded, nor failed and been seen.

Commands are sent without waiting for one another, so by the time that one fails, others that
build on it are on their way. They name it as a dependency, and the worker rejects them with
its error. Once the user has seen the failure, as a ``try`` around direct Keras would, the
object is as usable again as Keras left it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any
from weakref import ref

from asyncbridge.errors import DependencyError
from asyncbridge.models.mirrors.advice import notes_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from asyncbridge.errors import RemoteError
    from asyncbridge.models.mirrors.origins import Origin
    from asyncbridge.promise import Promise

__all__ = ["Call", "Ledger", "blocking"]


class Call:
    """One command about mirrors.

    Args:
        origin: Where the mirror was made that it makes, or that it is a method of.
        holds: All that its code names; it stays alive until the command is settled.
        origins: Tells where the mirrors among those, and in them, were made, by their names in
            the worker; asked when the command fails.
        sent: ``what was sent from where``, for the errors of those that fail with it.

    Attributes:
        causes: The calls whose failure fails this one, unrun.
        promise: The command's own; None before it is sent, and once it has succeeded.
    """

    __slots__ = (
        "__weakref__",
        "_dependents",
        "_hushed",
        "_origins",
        "_seen",
        "_succeeded",
        "causes",
        "holds",
        "origin",
        "promise",
        "sent",
    )

    def __init__(
        self,
        origin: Origin | None,
        holds: Iterable[object],
        origins: Callable[[], Mapping[str, Origin]] = dict,
        sent: str = "",
    ) -> None:
        self.sent = sent
        self.origin = origin
        self.holds = tuple(holds)
        self._origins = origins
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
        promise._add_own_callback(self._settled)

    def _settled(self, promise: Promise[Any]) -> None:
        self.holds, self._origins = (), dict
        if promise.state == "fulfilled":
            # Nothing is asked of it any more: a chain of calls must not grow for ever.
            self._succeeded, self.promise, self.causes = True, None, ()
            self._dependents.clear()

    @property
    def succeeded(self) -> bool:
        """Whether it ran to its end."""
        return self._succeeded or self._state == "fulfilled"

    @property
    def has_ended(self) -> bool:
        """Whether it has succeeded, failed, or was cancelled."""
        return self._succeeded or (self.promise is not None and self.promise.done())

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
        for origin in self._origins_in(error):
            error.add_note(origin.note())
        if self.sent and isinstance(error, DependencyError):
            error.add_note(self.sent)
        root = _root_of(error)
        for note in notes_for(root):
            # The cause may be the very error that its own call has got, with the advice.
            if note not in getattr(root, "__notes__", ()):
                error.add_note(note)

    def _origins_in(self, error: RemoteError) -> list[Origin]:
        """Return where the error's subjects were made, and where they were called."""
        origins = self._origins() if error.subjects else {}
        known = [origins[name] for name in error.subjects if name in origins]
        called = self._failed_at(error)
        if called is None or (known and called.verb == "made"):
            return known
        return [*known, called]

    def _failed_at(self, error: RemoteError) -> Origin | None:
        """Return where the failed mirror was made or called: not this one's, if it was not run."""
        if isinstance(error, DependencyError):
            culprit = None if error.cause is None else error.cause.command
            failed = self._cause_with(None if culprit is None else culprit.id)
            # That one may not have been run either, and then knows whose failure it was.
            self.origin = None if failed is None else failed.origin
            self.sent = "" if failed is None else failed.sent
        return self.origin

    def _cause_with(self, command_id: int | None) -> Call | None:
        todo, met = list(self.causes), set[int]()
        while todo:
            cause = todo.pop()
            if cause.is_command(command_id):
                return cause
            if id(cause) not in met:
                met.add(id(cause))
                todo.extend(cause.causes)
        return None

    def is_command(self, command_id: int | None) -> bool:
        """Tell whether it is the command with this id."""
        return self.promise is not None and self.promise.command_id == command_id


class Ledger:
    """The calls on one mirror: its creation, which is never forgiven, and later ones.

    A later one depends on those that are under way, and so on up the chain: the newest of them
    stands for all. Calls that only read depend on others, and no other on them.
    """

    __slots__ = ("_failed", "_latest", "_under_way", "creation")

    def __init__(self) -> None:
        self.creation: Call | None = None
        # Weakly: a call that nobody else holds has ended, and its failure is to be reported.
        self._latest: ref[Call] | None = None
        # Commands run in order: what has ended is at the left, but for what was cancelled.
        self._under_way: deque[Call] = deque()
        self._failed: list[Call] = []

    def add(self, call: Call, *, reads: bool = False) -> None:
        """Add a later call; one that reads leaves the mirror's object as it is."""
        self._latest = ref(call)
        if not reads:
            self._under_way.append(call)

    def look(self) -> None:
        """Note which failures the user has seen, and forget those and what succeeded."""
        self._sort_out()
        for call in self._all_failed():
            call.look()
        self._failed = [call for call in self._failed if call.blocks]

    def blocking(self) -> list[Call]:
        """Return what a new call depends on."""
        made = self.creation is None or self.creation.succeeded
        creation = [] if made else [self.creation]
        newest = [self._under_way[-1]] if self._under_way else []
        return [*filter(None, creation), *self._failed, *newest]

    def waiting(self) -> str:
        """Say which call on it waits or runs, and how many commands are before it."""
        self._sort_out()
        latest = None if self._latest is None else self._latest()
        for call in (latest, *reversed(self._under_way), self.creation):
            if call is not None and call.promise is not None and not call.promise.done():
                return _waiting(call.promise)
        return ""

    def close(self) -> None:
        """Leave one report of each failure that nobody has seen; the mirror is garbage."""
        self._sort_out()
        for call in [*self._all_failed(), *self._under_way]:
            call.look()
            call.close()

    def _sort_out(self) -> None:
        """Take out what has ended; what failed is kept."""
        calls = self._under_way
        while calls and calls[0].has_ended:
            self._keep_if_failed(calls.popleft())
        while calls and calls[-1].has_ended:
            self._keep_if_failed(calls.pop())

    def _keep_if_failed(self, call: Call) -> None:
        if call.blocks:
            self._failed.append(call)

    def _all_failed(self) -> list[Call]:
        return self._failed if self.creation is None else [self.creation, *self._failed]


def blocking(ledgers: Iterable[Ledger]) -> list[Call]:
    """Return what a new call on these mirrors depends on, each once, creations first."""
    ledgers = list(ledgers)
    # All of them first: a failure seen on one mirror counts for its cause on another.
    for ledger in ledgers:
        ledger.look()
    calls = {id(call): call for ledger in ledgers for call in ledger.blocking()}
    return list(calls.values())


def _root_of(error: RemoteError) -> RemoteError:
    """Return the error that others only tell of."""
    while isinstance(error, DependencyError) and error.cause is not None:
        error = error.cause
    return error


def _waiting(promise: Promise[Any]) -> str:
    source = promise._source
    if source is None:
        return ""
    queued = source.state != "running"
    return f"[{source.label} {source.state}{f', {source.ahead} ahead' if queued else ''}]"
