"""What a policy has of one binding."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.lifetime.finalizers import Finalizers

__all__ = ["Hold"]


class Hold:
    """One binding, by which its policy lets it go. It keeps the binding's handle not alive.

    Args:
        name: The binding's.
        finalizers: Where names go that are to be released.
        handle: The object here that stands for it; None where there is none.
        about: Says in errors what a person would call it.

    Attributes:
        name: The binding's.
    """

    __slots__ = ("__weakref__", "_about", "_finalizers", "_handle", "name")

    def __init__(
        self,
        name: str,
        finalizers: Finalizers,
        handle: object = None,
        about: Callable[[], str] | None = None,
    ) -> None:
        self.name = name
        self._finalizers = finalizers
        self._handle = None if handle is None else ref(handle)
        self._about = about
        finalizers.begin(self)

    def tie(self) -> None:
        """Release it when its handle is garbage.

        Raises:
            ValueError: It has none.
        """
        handle = None if self._handle is None else self._handle()
        if handle is None:
            raise ValueError(
                f"{self.name}: a collected binding needs an object here to be tied to: use put()"
            )
        self._finalizers.tie(handle, self.name, self._about)

    def release(self) -> None:
        """Release it now, behind the commands sent by then; from any thread, any number of times.

        Nothing comes of it once the name was set anew, or deleted.
        """
        if self._finalizers.is_current(self.name, self):
            self._finalizers.release(self.name)

    def __repr__(self) -> str:
        return f"<Hold {self.name}>"
