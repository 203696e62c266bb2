"""``Promise`` as a runner of a Promises/A+ suite wants it: ``resolved``, ``rejected``, ``deferred``.

It needs a running event loop and, as ``asyncbridge.Promise`` does, the standard library alone. A
suite may reject by any value: one that is no exception, as a promise's reason must be, travels
in a ``Reason``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from asyncbridge import Promise


class Reason(Exception):
    """Carries what a suite rejects by."""

    def __init__(self, value: object) -> None:
        super().__init__(value)
        self.value = value


class Deferred(NamedTuple):
    """A pending promise and what settles it, once."""

    promise: Promise[Any]
    resolve: Callable[[Any], None]
    reject: Callable[[object], None]


def resolved(value: object) -> Promise[Any]:
    """Return a promise that is resolved with the value."""
    return Promise.resolve(value)


def rejected(reason: object) -> Promise[Any]:
    """Return a promise that is rejected by the reason."""
    return Promise[Any].reject(as_exception(reason))


def deferred() -> Deferred:
    """Return a pending promise with its two functions, whose later calls are ignored."""
    promise, resolve, reject = Promise[Any].with_resolvers()
    return Deferred(promise, resolve, lambda reason: reject(as_exception(reason)))


def as_exception(reason: object) -> BaseException:
    """Return the reason, in a ``Reason`` if it cannot be raised."""
    return reason if isinstance(reason, BaseException) else Reason(reason)
