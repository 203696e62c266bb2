"""Which command is meant by a promise."""

from __future__ import annotations

from collections.abc import Iterable

from asyncbridge.client.pending import Pending
from asyncbridge.promise import Promise

__all__ = ["command_behind", "dependencies"]


def dependencies(after: Iterable[object], home: object) -> list[Pending]:
    """Return the commands behind the promises of ``after=``.

    Args:
        after: Promises that ``send`` gave.
        home: What the commands of one bridge have in common.

    Raises:
        TypeError: It is no list of promises.
        ValueError: A promise with no command behind it, or with one of another bridge.
    """
    if isinstance(after, str | bytes | Promise) or not isinstance(after, Iterable):
        raise TypeError(f"after= takes a list of promises of commands, not {after!r:.80}")
    return [command_behind(promise, home, "after= takes promises of commands") for promise in after]


def command_behind(promise: object, home: object, wanted: str) -> Pending:
    """Return the command that a promise is of.

    Args:
        promise: What is given for it.
        home: What the commands of one bridge have in common.
        wanted: Begins a refusal: what may be given there.

    Raises:
        TypeError: It is no promise.
        ValueError: It has no command behind it, or one of another bridge.
    """
    if not isinstance(promise, Promise):
        raise TypeError(f"{wanted}, not {promise!r:.80}")
    item = promise._source
    if not isinstance(item, Pending):
        raise ValueError(  # noqa: TRY004 - a promise it is
            f"{wanted}, not {promise!r}: what `then` returns has no command of its own"
        )
    if item.home is not home:
        raise ValueError(f"{wanted}, of this bridge: {item.sent().title} is another bridge's")
    return item
