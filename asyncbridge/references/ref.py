"""A reference: the client's object for one that the worker keeps."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import BridgeClosed, SerializationError, StaleReference
from asyncbridge.references.remote import Remote

if TYPE_CHECKING:
    from weakref import ref

    from asyncbridge.codegen import Expression
    from asyncbridge.protocol.keeping import Told
    from asyncbridge.references.code import RemoteCode
    from asyncbridge.references.remote import Home

__all__ = ["Ref", "Residence", "refuse_ref"]

KIB = 1024
UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


class Residence:
    """Where objects live: one life of one worker.

    Attributes:
        incarnation: Its id.
        ended: Why there is none any more; empty while it lives.
        died_at: When that was, as Unix time.
    """

    __slots__ = ("died_at", "ended", "incarnation")

    def __init__(self, incarnation: str) -> None:
        self.incarnation = incarnation
        self.ended = ""
        self.died_at: float | None = None

    def end(self, reason: str, *, died: bool = True) -> None:
        """Note that it is over, here: the worker has died, or nobody is left who could reach it."""
        if not self.ended:
            self.ended, self.died_at = reason, time.time() if died else None

    def stale(self, what: str, number: int) -> StaleReference:
        """Return the error for the use of an object that lived here."""
        told = f"it was an object of worker {self.incarnation}"
        if self.died_at is not None:
            when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(self.died_at))
            told += f", which ended at {when}"
        return StaleReference(
            f"{what} is gone: {told}: {self.ended}",
            number=number,
            incarnation=self.incarnation,
            died_at=self.died_at,
            reason=self.ended,
        )


class Ref(Remote):
    """An object that stays in the worker for as long as anything here refers to this.

    The same object is the same ``Ref`` while one lives, and as an argument it is the object itself.
    Everything that is done with it builds code: see ``Remote``.
    """

    __slots__ = ("_at", "_released", "_residence", "_told")

    _at: ref[Any]
    _released: str
    _residence: Residence
    _told: Told

    def __init__(self, told: Told, home: ref[Any], residence: Residence) -> None:
        # By the slots themselves, for there may be millions: to assign asks ``__setattr__`` first.
        _put_told(self, told)
        _put_at(self, home)
        _put_residence(self, residence)
        _put_released(self, "")

    @property
    def _number(self) -> int:
        return self._told.number

    def _tell(self, told: Told) -> None:
        """Take what the worker has told anew."""
        _put_told(self, told)

    @property
    def about(self) -> Told:
        """What the worker told of the object when it was last sent.

        ``number``, its own; ``kind``, the full name of its class; ``text``, a short repr; ``size``
        in bytes, 0 where that is not known; ``device``, where it lies.
        """
        return self._told

    def release(self) -> None:
        """Let go of the object now, and not when this is garbage; afterwards it is of no use.

        The commands sent by now still have it.
        """
        home: Any = self._at()
        if home is not None and not self._released:
            home._references.release(self, "by release()")

    def _home(self) -> Home:
        home: Any = self._at()
        if home is None:
            raise BridgeClosed(f"{self!r}: its bridge is gone")
        self._check_alive()
        return home  # type: ignore[no-any-return]

    def _check_alive(self) -> None:
        """Refuse a reference whose object is gone.

        Raises:
            StaleReference: It is.
        """
        if self._residence.ended:
            raise self._residence.stale(repr(self), self._number)
        if self._released:
            raise StaleReference(
                f"{self!r} was released {self._released}",
                number=self._number,
                incarnation=self._residence.incarnation,
                reason=f"released {self._released}",
            )

    def _code(self, code: RemoteCode) -> Expression:
        return code.bound(self, "ref")

    def _said(self) -> str:
        return self._told.kind.rpartition(".")[2] or "ref"

    def __reduce__(self) -> Any:
        home: Any = self._home()
        return home._pickled_ref(self)

    def __repr__(self) -> str:
        told = self._told
        parts = [
            printable(told.kind),
            printable(told.text),
            sized(told.size),
            printable(told.device),
        ]
        return f"<Ref {told.number} {' '.join(part for part in parts if part)}>"


_put_told, _put_at, _put_residence, _put_released = (
    vars(Ref)[name].__set__ for name in ("_told", "_at", "_residence", "_released")
)


def refuse_ref(value: object, said: str) -> object:
    """Return a value that has come here; refuse a reference to what stays in the worker.

    Raises:
        SerializationError: It is one.
    """
    if isinstance(value, Ref):
        raise SerializationError(
            f"{said} has no wire form: an object of class {value.about.kind} stays in the worker; "
            "fetch parts of it, or await the expression itself for a reference"
        )
    return value


def printable(text: str) -> str:
    """Return a worker's text with escapes for what steers terminals."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(char: str) -> str:
    return char if char.isprintable() else ascii(char)[1:-1]


def sized(size: int) -> str:
    """Return a number of bytes as people read it."""
    if not size:
        return ""
    amount, unit = float(size), 0
    while amount >= KIB and unit < len(UNITS) - 1:
        amount, unit = amount / KIB, unit + 1
    return f"{amount:.0f} {UNITS[unit]}" if not unit else f"{amount:.1f} {UNITS[unit]}"
