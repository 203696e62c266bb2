"""A value that is written but for large buffers, which are made when it leaves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson

from asyncbridge.serialization.deferred import Outgoing, Undecided
from asyncbridge.serialization.walk import Refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from asyncbridge.errors import SerializationError

__all__ = ["Draft"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A value in wire form, some of whose buffers are still to be made.

    Attributes:
        header: Its JSON tree, dumped.
        buffers: What the tree refers to by index.
        size: Bytes of both, as many as they may be at most.
        explain: Makes the error of what a look at an undecided one has found.
    """

    header: bytes
    buffers: tuple[Outgoing | Undecided, ...]
    size: int
    explain: Callable[[Refused], SerializationError] | None = None

    @property
    def is_decided(self) -> bool:
        """Whether its form is known, and with it what a command says of it."""
        return not any(isinstance(buffer, Undecided) for buffer in self.buffers)

    def decided(self) -> Draft:
        """Look at what is undecided, in any thread; the size stays as it was counted.

        Raises:
            SerializationError: A part of it has no wire form.
        """
        try:
            return self._decided()
        except Refused as refused:
            if self.explain is None:
                raise
            raise self.explain(refused) from None

    def _decided(self) -> Draft:
        header, buffers = self.header, list(self.buffers)
        for index, buffer in enumerate(buffers):
            if isinstance(buffer, Undecided):
                buffers[index], forms = buffer.decide()
                if forms is not None:
                    wrong, right = map(orjson.dumps, forms)
                    # It stands there once: an index is used once, and in text quotes are escaped.
                    header = header.replace(wrong, right)
        return Draft(header=header, buffers=tuple(buffers), size=self.size)
