"""What becomes of a session's commands: their promises are settled here, and nowhere else."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from asyncbridge.client.tracebacks import plain
from asyncbridge.client.transfers import decoded_quickly, has_bulk
from asyncbridge.errors import AsyncBridgeError, DecodeError, TooLarge
from asyncbridge.outcome import Error
from asyncbridge.protocol.keeping import HOLD, STAY
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.sizes import ASK_FOR_LESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.client.output import OutputRouter
    from asyncbridge.client.pending import Pending
    from asyncbridge.client.references import References
    from asyncbridge.client.streams import Streams
    from asyncbridge.client.transfers import Transfers
    from asyncbridge.outcome import Outcome
    from asyncbridge.promise import Promise
    from asyncbridge.protocol.client import ClientProtocol
    from asyncbridge.protocol.messages import Completed

__all__ = ["Outcomes"]

log = logging.getLogger(__name__)
lifetimes = logging.getLogger("asyncbridge.lifetime")


class Outcomes:
    """The commands that have no outcome yet; everything here runs on the session's loop.

    Args:
        protocol: The session's.
        transfers: Fetches large buffers.
        streams: What flows while a command runs; ended with it.
        output: Takes the captured output.
        broken: Called with what a value could not be fetched by: the session is of no use.
        references: To what stays in the worker.

    Attributes:
        pending: The commands, by their ids.
    """

    def __init__(
        self,
        protocol: ClientProtocol,
        transfers: Transfers,
        streams: Streams,
        output: OutputRouter,
        broken: Callable[[BaseException], None],
        references: References,
    ) -> None:
        self.pending: dict[int, Pending] = {}
        self._protocol = protocol
        self._transfers = transfers
        self._streams = streams
        self._output = output
        self._broken = broken
        self._references = references

    def completed(self, message: Completed) -> None:
        """Take a value, which may have to be fetched first."""
        item = self.pending.get(message.id)
        if item is None:  # rejected already: a part of it could not be sent, or nothing can run
            self._transfers.decline(message.value)
            self._give_back(message.objects)
            if has_bulk(message.value):
                self._protocol.fetched(message.id)
            return
        if not item.times.has_started:  # it was too short for that to be told by itself
            item.has_begun()
        item.stopped = message.stopped
        if message.holders:
            tell_holders(item, message.holders)
        outcome = decoded_quickly(message.value, handles=self._references.told)
        if outcome is not None:
            self._fulfil(item, outcome, message.objects)
        else:
            spawn(self._fetch(item, message), name=f"asyncbridge-fetch-{message.id}")

    def cancelled(self, item: Pending) -> None:
        """End a command's promise as cancelled."""
        self._forget(item, failed=True)._settle_cancelled(item.message)

    def reject(self, item: Pending, error: AsyncBridgeError) -> None:
        """End a command's promise with an error."""
        promise = self._forget(item, failed=True, reason=error)
        if not promise.done():
            promise.set_exception(error)

    async def _fetch(self, item: Pending, message: Completed) -> None:
        value = message.value
        try:
            whole = await self._transfers.fetch(value, writable=item.writable)
        except (ChannelClosed, DecodeError) as error:
            if item.id in self.pending:
                self._broken(error)
            return
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: the promise must end
            self._give_back(message.objects)
            if item.id in self.pending:
                self._let_go(item)
                self.reject(item, unreadable(error))
            return
        finally:
            if has_bulk(value):
                self._protocol.fetched(item.id)
        outcome = await self._transfers.decode(whole, handles=self._references.told)
        if item.id in self.pending:
            self._fulfil(item, outcome, message.objects)
        else:
            self._give_back(message.objects)

    def _fulfil(self, item: Pending, outcome: Outcome[object], objects: tuple[int, ...]) -> None:
        self._let_go(item)
        if isinstance(outcome, Error):
            self._give_back(objects)
            self.reject(item, unreadable(outcome.error))
            return
        if objects:
            # One that was there before is not the scope's.
            made = () if item.scope is None else self._references.uncounted(objects)
            self._give_back(self._references.count(objects))
            if item.scope is not None:
                item.scope.add_references(self._references.living_of(made))
        self._forget(item)._settle(outcome.value)

    def _let_go(self, item: Pending) -> None:
        """Let go of its value in the worker: those that use it were sent, or take it from here."""
        if item.keep in (HOLD, STAY):
            self._protocol.release(commands=(item.id,))

    def _give_back(self, objects: tuple[int, ...]) -> None:
        """Let go of what a value that nobody has seen refers to."""
        if objects:
            self._protocol.release(objects=tuple(Counter(objects).items()))

    def _forget(
        self, item: Pending, *, failed: bool = False, reason: AsyncBridgeError | None = None
    ) -> Promise[Any]:
        promise = item.promise
        self.pending.pop(item.id, None)
        self._streams.end(item.id)
        self._output.flush(item)
        item.settled(failed=failed, reason=reason)
        return promise


def tell_holders(item: Pending, holders: tuple[str, ...]) -> None:
    """Say who keeps the values of a command's bindings alive, for somebody who debugs."""
    for told in holders:
        lifetimes.warning("%s: %s (%s)", item.sent().title, plain(told), item.origin)


def unreadable(error: BaseException) -> AsyncBridgeError:
    """Return what a promise is rejected with whose value did not come to be."""
    if isinstance(error, AsyncBridgeError):
        return error
    if isinstance(error, MemoryError):
        told: AsyncBridgeError = TooLarge(f"no memory for the result: {error}; {ASK_FOR_LESS}")
    else:
        log.critical("a fault of asyncbridge's own", exc_info=error)
        told = DecodeError(f"the result cannot be read: {error!r}")
    told.__cause__ = error
    return told
