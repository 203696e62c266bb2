"""A command's bindings on their way out: what travels with it, and what by itself."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import orjson

from asyncbridge.client.arguments import by_its_label, labels_now
from asyncbridge.client.handing import holds_handle
from asyncbridge.client.snapshots import snapshot
from asyncbridge.client.weights import check_weight
from asyncbridge.errors import AsyncBridgeError, SerializationError, TooLarge
from asyncbridge.protocol.limits import BULK_THRESHOLD, HEADER_BYTES
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization.codec import draft, encode
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.split import split, split_draft
from asyncbridge.serialization.walk import TakesLong

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from asyncbridge.client.handing import Handing
    from asyncbridge.client.pending import Pending

__all__ = [
    "Bindings",
    "Half",
    "Unwritten",
    "decided",
    "refusal",
    "split_off",
    "write_bindings",
]

COPIED_ITEMS: Final = 2**20
"""Items up to which a container is copied that is written later: it takes some milliseconds."""
FEW: Final = 256
"""Items up to which a container is copied with what it holds, if all of it is small."""


class Unwritten:
    """Bindings of many parts, which another thread writes before their command leaves.

    Args:
        write: Writes them, in any thread.
        labels: What their sender calls some of them.
    """

    size: Final = BULK_THRESHOLD
    """What they count for meanwhile, in bytes: they are not known to be small."""

    def __init__(self, write: Callable[[], Payload | Draft], labels: Mapping[str, str]) -> None:
        self._write = write
        self._labels = labels

    def decided(self) -> Payload | Draft:
        """Write them.

        Raises:
            SerializationError: A part of them has no wire form.
            TooLarge: They are over a limit.
        """
        try:
            return self._write()
        except (SerializationError, TooLarge) as error:
            raise by_its_label(error, self._labels) from error.__cause__


Bindings = Payload | Draft | Unwritten
"""What a command is given, written as far as it is."""
Half = Draft | Unwritten
"""Such as cannot leave yet."""


def write_bindings(
    bindings: Mapping[str, object],
    *,
    copy: bool,
    one_hot: bool,
    files: bool,
    limit: int,
    quickly: bool,
    handles: Handing | None = None,
) -> Bindings:
    """Return bindings in wire form.

    Args:
        bindings: By name.
        copy: Copy them whole, now.
        one_hot: As of ``encode``.
        files: As of ``encode``.
        limit: Bytes that they may have; 0 for any.
        quickly: Leave what takes long to another thread: this one has a loop.
        handles: Writes what stands for values in the worker.

    Raises:
        SerializationError: A part of them has no wire form.
        TooLarge: They are over a limit.
    """
    write = partial(write_now, one_hot=one_hot, files=files, limit=limit, handles=handles)
    if copy:
        return write(dict(bindings), copy=True)
    try:
        return write(dict(bindings), quickly=quickly)
    except TakesLong:
        if handles is not None:
            if holds_handle(bindings.values()):  # they are this thread's
                return write(dict(bindings))
            handles.begin()
        # What is filled anew for each command is quite usual: it is to be as it is now.
        memo: dict[int, Any] = {}
        own = {name: as_it_is(value, memo) for name, value in bindings.items()}
        return Unwritten(partial(write, own, decided=True), labels_now())


def write_now(
    bindings: dict[str, object],
    *,
    one_hot: bool,
    files: bool,
    limit: int,
    copy: bool = False,
    quickly: bool = False,
    decided: bool = False,
    handles: Handing | None = None,
) -> Payload | Draft:
    """Write bindings to their end, with small arrays that are their own."""
    form: dict[str, Any] = {
        "path": "bindings", "one_hot": one_hot, "files": files, "handles": handles
    }  # fmt: skip
    value: Payload | Draft
    if copy:
        value = encode(bindings, **form)
    else:
        value = draft(bindings, quickly=quickly, decided=decided, **form)
    check_weight(value, bindings, limit=limit, one_hot=one_hot)
    if isinstance(value, Draft):
        return snapshot(value, whole=copy)
    return snapshot(value, whole=copy)


def as_it_is(value: object, memo: dict[int, Any]) -> object:
    """Return a copy of a small value, and of a container of many items; else the value itself.

    Args:
        value: Any.
        memo: Of ``deepcopy``: what stands in two small values is one object in their copies.
    """
    if type(value) in _COPIED and FEW < len(value) <= COPIED_ITEMS:  # type: ignore[arg-type]
        return value.copy()  # type: ignore[attr-defined]
    try:
        if draft(value, quickly=True).size < BULK_THRESHOLD:
            return deepcopy(value, memo)
    except (AsyncBridgeError, TakesLong, TypeError, ValueError):
        pass  # it is refused when it is written, or it cannot be copied
    return value


_COPIED: Final = frozenset[type]((list, dict, set))


def split_off(item: Pending, bindings: Bindings | None) -> Half | None:
    """Take the large buffers out of a command's bindings.

    Args:
        item: The command, which has its id already.
        bindings: Its own; or those, looked through.

    Returns:
        The bindings, when they have to be looked through, or written, before the command may go.

    Raises:
        TooLarge: The code, or the bindings' JSON part, is over the limit of a message.
    """
    if len(item.code) > HEADER_BYTES:
        raise TooLarge(f"code of {len(item.code)} characters; the limit is {HEADER_BYTES}")
    if isinstance(bindings, Unwritten):
        item.bindings = Payload(header=orjson.Fragment(b"{}"), size=bindings.size)
        return bindings
    if isinstance(bindings, Draft):
        item.bindings, item.bulk = split_draft(bindings, prefix=f"{item.id}")
        return None if bindings.is_decided else bindings
    if bindings is not None:
        item.bindings, bulk = split(bindings, prefix=f"{item.id}")
        item.bulk = {**bulk}
    return None


def decided(bindings: Half) -> Payload | Draft:
    """Write what is missing; in any thread."""
    return bindings.decided()


def refusal(error: BaseException) -> AsyncBridgeError:
    """Return what a promise is rejected with whose bindings could not be written."""
    if isinstance(error, AsyncBridgeError):
        return error
    if isinstance(error, MemoryError):
        told: AsyncBridgeError = TooLarge(f"no memory to write the bindings: {error}")
    elif isinstance(error, RuntimeError):  # a dict or a set that has got other keys
        reason = f"changed while they were written ({error}): leave them until the promise is done"
        told = SerializationError(reason, path="bindings")
    else:
        told = SerializationError(f"cannot be written: {error!r}", path="bindings")
    told.__cause__ = error
    return told
