"""Commands that cannot be sent yet: the value of an argument is still to come from elsewhere.

Most promises that stand as arguments go by their command's id, and nothing waits. Some do not: those
of another bridge, those that ``then`` returns, those with a transform block, and such whose command
has told its value already. Their values come through here; each is sent by a command of its own,
ahead of those that use it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from asyncbridge.client.faults import argument_error, unsent_error
from asyncbridge.client.pending import Pending
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import ALONE, HOLD, URGENT
from asyncbridge.protocol.messages import Keep
from asyncbridge.references.expression import hush

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client.bridge import Bridge
    from asyncbridge.client.handing import Use
    from asyncbridge.client.session import Session

__all__ = ["Awaiting", "passing_on"]

AHEAD = URGENT - 1


class Awaiting:
    """Those of one bridge, in the order of ``send``; everything here runs on its loop.

    Args:
        bridge: It.
    """

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._items: dict[Pending, None] = {}
        # What the worker was asked to keep, and its answer, as long as that matters.
        self._asked: dict[Pending, bool | None] = {}

    @property
    def items(self) -> tuple[Pending, ...]:
        """Those that wait."""
        return tuple(self._items)

    def admits(self, item: Pending) -> bool:
        """Tell whether a command may be sent now; else it is, once it may."""
        if not item.uses and not self._items:
            return True
        if self._is_ready(item):
            return not item.is_settled
        if item not in self._items and not item.is_settled:
            item.holder = self
            self._items[item] = None
        return False

    def cancel(self, item: Pending) -> bool:
        """Take a command back; tells whether it was here."""
        if item not in self._items:
            return False
        promise, message = item.promise, item.message
        self._drop(item, None)
        promise._settle_cancelled(message)
        self._look_again()
        return True

    def reject_all(self, error: Callable[[Pending], Exception]) -> None:
        """End all of them, each with an error of its own."""
        for item in self.items:
            self._reject(item, error(item))

    def used(self) -> tuple[set[str], set[int]]:
        """Return the names, and the objects' numbers, that those use which wait."""
        names, numbers = set[str](), set[int]()
        needs_of = self._bridge._tools().needs_of
        for item in self._items:
            names.update(item.handed, needs_of(item.code).names)
            numbers.update(each.about.number for each in item.references)
        return names, numbers

    def answered(self, command_id: int, *, kept: bool) -> None:
        """Take the worker's word whether it keeps a value that it was asked to."""
        for source in self._asked:
            if source.id == command_id:
                self._asked[source] = kept
        self._look_again()
        self._asked = {each: told for each, told in self._asked.items() if not each.is_settled}

    # --- inner steps ---

    def _look_again(self) -> None:
        for item in self.items:
            if item in self._items and self._is_ready(item) and item in self._items:
                self._let_go(item)
                self._bridge._send_now(item)

    def _is_ready(self, item: Pending) -> bool:
        """Tell whether all that a command uses is there, or goes ahead of it; have it brought."""
        for other in item.after:
            if other in self._items:
                return False
            if other.failed and other.session is None:
                return True  # it fails when it is sent
        ready = [self._brings(item, use) for use in item.uses]  # each of them is to be brought
        return all(ready)

    def _brings(self, item: Pending, use: Use) -> bool:
        held, session = self._bridge._held, self._bridge._session
        source = use.item
        if source is not None and source.keep == ALONE:
            return self._stays(item, use, source)
        if source is not None and not use.promise.done():
            if held is not None and source in held.items:
                source.keep = source.keep or HOLD
                return True
            if session is not None and session.pending(source.id) is source:
                return self._is_kept(session, source) or self._awaits(item, use)
        if not use.promise.done():
            return self._awaits(item, use)
        if source is not None:
            self._asked.pop(source, None)
        return self._passes_on(item, use)

    def _stays(self, item: Pending, use: Use, source: Pending) -> bool:
        """Tell whether a value is there that was sent for this alone; a new worker needs it anew."""
        if use.residence is self._bridge._references.residence or not source.is_settled:
            return True
        if source.passes_on:
            return self._passes_on(item, use)
        assert use.residence is not None, "the value of an expression"
        self._reject(item, use.residence.stale(f"the value of {source.label}", 0))
        return False

    def _is_kept(self, session: Session, source: Pending) -> bool:
        """Have the worker keep a command's value; tell whether it will."""
        if source.keep:
            return True
        if session.protocol.want_kept(source.id):
            source.keep = HOLD
            return True
        if source not in self._asked:
            self._asked[source] = None
            session.tell(Keep(id=source.id))
        if self._asked[source]:
            source.keep = HOLD
            return True
        return False

    def _awaits(self, item: Pending, use: Use) -> bool:
        """Have a look when a promise is settled; it is not yet."""
        if not use.settled:
            use.settled = True
            loop = self._bridge._loop
            assert loop is not None

            def look(_: object) -> None:
                with suppress(RuntimeError):  # the loop has ended
                    loop.call_soon_threadsafe(self._look_again)

            use.promise._add_own_callback(look)
        return False

    def _passes_on(self, item: Pending, use: Use) -> bool:
        """Send a value that has come here ahead of the command that uses it."""
        promise = use.promise
        if promise.state != "fulfilled":
            reason = None if promise.cancelled() else promise.exception()
            self._reject(item, argument_error(item, promise, reason))
            return False
        try:
            use.item = self._bridge._pass_on_value(promise.result(), item)
            use.residence = self._bridge._references.residence
        except Exception as error:  # noqa: BLE001 - whatever it is, the promise must end
            self._reject(item, unsent_error(item, promise, error))
            return False
        item.after = (*item.after, use.item)
        return True

    def _let_go(self, item: Pending) -> None:
        if item in self._items:
            del self._items[item]
            # What is released meanwhile may have waited for it.
            self._bridge._wake_finalizers()
        item.holder = None

    def _drop(self, item: Pending, reason: Exception | None) -> None:
        self._let_go(item)
        self._bridge._backlog.give(item.size)
        item.settled(failed=True, reason=reason)

    def _reject(self, item: Pending, error: Exception) -> None:
        """End a command, whether or not it waits yet."""
        if item.is_settled:
            return
        promise = item.promise
        self._let_go(item)
        self._bridge._backlog.give(item.size)
        item.settled(failed=True, reason=error)
        if not promise.done():
            promise.set_exception(error)


def passing_on(loop: Any, bindings: Any, user: Pending) -> Pending:
    """Return the command that brings one value to the worker, for another one that uses it."""
    promise: Promise[Any] = Promise(loop=loop)
    item = Pending(
        promise,
        code="value",
        bindings=bindings,
        lifetime="command",
        label=f"an argument of {user.label or 'a command'}",
        after=(),
        home=user.home,
        annotate=None,
        origin=user.origin,
        names=("value",),
        # Commands go by their ids: one that has its own already would be run ahead of this.
        priority=AHEAD if user.id else user.priority,
    )
    item.keep, item.passes_on = ALONE, True
    promise._attach(item)
    promise._add_own_callback(hush)  # those that use it tell of its failure
    return item
