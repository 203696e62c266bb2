"""The functions that a promise is given: which may be one, and how its transform blocks run."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from asyncbridge.promise.views import short

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["apply_blocks", "check_block", "check_handlers", "split_catch"]


def check_handlers(method: str, *handlers: object) -> None:
    """Refuse what ``then``, ``catch`` and ``finally_`` cannot call.

    Raises:
        TypeError: One is neither callable nor None.
    """
    for handler in handlers:
        if handler is not None and not callable(handler):
            raise TypeError(f"{method}() takes functions or None, not {short(handler)}")


def split_catch(
    arguments: tuple[Any, ...],
) -> tuple[tuple[type[BaseException], ...], Callable[[Any], Any] | None]:
    """Return what the arguments of ``catch`` mean: the types that it handles, and the handler.

    Raises:
        TypeError: There is no callable handler, or a type is no exception type.
    """
    *given, handler = arguments or (None,)
    if not arguments or _is_exception_type(handler) or isinstance(handler, tuple):
        raise TypeError("catch() takes a handler last: catch(handler), catch(ValueError, handler)")
    check_handlers("catch", handler)
    types = given[0] if len(given) == 1 and isinstance(given[0], tuple) else tuple(given)
    for item in types:
        if not _is_exception_type(item):
            raise TypeError(f"catch() takes exception types before the handler, not {short(item)}")
    return (types if given else (Exception,)), handler


def _is_exception_type(item: object) -> bool:
    return isinstance(item, type) and issubclass(item, BaseException)


def check_block(block: object) -> None:
    """Refuse what ``transform`` cannot run.

    Raises:
        TypeError: It is no plain callable.
    """
    if not callable(block) or inspect.iscoroutinefunction(block):
        raise TypeError(
            f"transform() takes a plain function, not {short(block)}; then() takes others"
        )


def apply_blocks(blocks: list[Callable[[Any], Any]], value: Any) -> Any:
    """Return what the transform blocks, in order, make of the value.

    Raises:
        TypeError: A block returned a coroutine.
    """
    for block in blocks:
        value = block(value)
        if inspect.iscoroutine(value):
            value.close()
            raise TypeError(f"transform block {short(block)} returned a coroutine; use then()")
    return value
