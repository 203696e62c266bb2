"""A command's bindings on their way out: what travels with it, and what by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.errors import TooLarge
from asyncbridge.protocol.limits import HEADER_BYTES
from asyncbridge.serialization.drafts import Draft
from asyncbridge.serialization.split import split, split_draft

if TYPE_CHECKING:
    from asyncbridge.client.pending import Pending
    from asyncbridge.protocol.messages import Payload

__all__ = ["split_off"]


def split_off(item: Pending, bindings: Payload | Draft | None) -> Draft | None:
    """Take the large buffers out of a command's bindings.

    Args:
        item: The command, which has its id already.
        bindings: Its own; or those, looked through.

    Returns:
        The bindings, when a part of them has to be looked through before the command may go.

    Raises:
        TooLarge: The code, or the bindings' JSON part, is over the limit of a message.
    """
    if len(item.code) > HEADER_BYTES:
        raise TooLarge(f"code of {len(item.code)} characters; the limit is {HEADER_BYTES}")
    if isinstance(bindings, Draft):
        item.bindings, item.bulk = split_draft(bindings, prefix=f"{item.id}")
        return None if bindings.is_decided else bindings
    if bindings is not None:
        item.bindings, bulk = split(bindings, prefix=f"{item.id}")
        item.bulk = {**bulk}
    return None
