"""The bindings that outlive their commands: whose they are, and when they go.

What code assigns by itself is not among them: it stays in the namespace, as the paper has it. All
of this happens in the GPU thread; the loop only looks, in single steps of a dict.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import InUse, NameTaken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.worker.objects import Claimant

__all__ = ["LEASED", "Bindings", "Record", "seconds_of"]

LEASED: Final = "leased "
"""Begins the lifetime of a binding that goes by itself, ahead of the seconds."""


@dataclass(slots=True, eq=False, kw_only=True)
class Record:
    """A binding.

    Attributes:
        lifetime: As the command said that set it.
        owner: Who has set it.
        since: When, by the worker's clock.
        holders: Who has a handle on it that counts; of eternal ones nobody.
        leases: How many claims there are that end by themselves.
        ident: Of the object that it was set to, by ``id()``: if the name stands for another one when
            it ends, code has set that, and it stays.
    """

    name: str
    lifetime: str
    owner: str
    since: float
    holders: set[Claimant] = field(default_factory=set)
    leases: int = 0
    ident: int = 0

    @property
    def is_held(self) -> bool:
        """Whether it stays, by its lifetime and its handles."""
        return self.lifetime == "eternal" or bool(self.holders) or self.leases > 0


class Bindings:
    """The bindings of one worker, by name.

    Args:
        drop: Deletes a name from the namespace, with what it stands for.
        is_alive: Tells whether an owner is still there, or waited for.
        ident_of: Tells the ``id()`` of what a name stands for.
    """

    def __init__(
        self,
        drop: Callable[[str], None],
        is_alive: Callable[[str], bool],
        ident_of: Callable[[str], int] = lambda name: 0,
    ) -> None:
        self._drop = drop
        self._ident_of = ident_of
        self._is_alive = is_alive
        self._records: dict[str, Record] = {}

    def all(self) -> list[Record]:
        """Return them, in the order of their setting; from any thread."""
        return list(self._records.values())

    def get(self, name: str) -> Record | None:
        """Return a binding, if there is one of that name."""
        return self._records.get(name)

    def check(self, names: Iterable[str], owner: str) -> None:
        """Refuse to set names that are another's, or that others have from one that is gone.

        Raises:
            NameTaken: One is.
        """
        for name in names:
            self._check_owner(name, owner)
            record = self._records.get(name)
            if record is None or record.owner == owner:
                continue
            for holder in record.holders:
                if holder.owner != owner:
                    raise NameTaken(
                        f"the name {name!r} is taken by session {holder.owner}, which has a handle "
                        "on its binding: use another name",
                        name=name,
                        owner=holder.owner,
                    )

    def note(self, names: Iterable[str], lifetime: str, claimant: Claimant, now: float) -> None:
        """Note that a client has set these names."""
        for name in names:
            record = Record(
                name=name,
                lifetime=lifetime,
                owner=claimant.owner,
                since=now,
                ident=self._ident_of(name),
            )
            before = self._records.pop(name, None)
            if before is not None:
                for holder in before.holders:
                    holder.names.discard(name)
            if lifetime == "collected":
                record.holders.add(claimant)
                claimant.names.add(name)
            elif lifetime.startswith(LEASED):
                record.leases = 1
            self._records[name] = record

    def put(self, record: Record) -> None:
        """Take a binding over from the worker before this one."""
        self._records[record.name] = record
        for holder in record.holders:
            holder.names.add(record.name)

    def hold(self, name: str, claimant: Claimant) -> None:
        """Count one more holder of a binding that is collected."""
        record = self._records.get(name)
        if record is not None and record.lifetime != "eternal":
            record.holders.add(claimant)
            claimant.names.add(name)

    def lease(self, name: str) -> Record | None:
        """Count a claim that ends by itself; return whose it is."""
        record = self._records.get(name)
        if record is not None:
            record.leases += 1
        return record

    def end_lease(self, record: Record) -> None:
        """Take such a claim back."""
        record.leases -= 1
        self._tidy(record)

    def release(self, name: str, claimant: Claimant) -> None:
        """Take a client's hold back: nothing there refers to a name any more."""
        claimant.names.discard(name)
        record = self._records.get(name)
        if record is None:
            self._drop(name)
            return
        record.holders.discard(claimant)
        if record.lifetime != "collected" and record.owner == claimant.owner:
            # No garbage collector says this of such a one: its owner's policy does.
            self.forget(name)
            self._drop(name)
            return
        self._tidy(record)

    def delete(self, name: str, claimant: Claimant) -> None:
        """Delete a binding, or a name that code has set.

        Raises:
            InUse: Another one has a handle on it.
            NameTaken: It is another's.
        """
        self.check_deletion(name, claimant)
        self.forget(name)
        self._drop(name)

    def check_deletion(self, name: str, claimant: Claimant) -> None:
        """Refuse what ``delete`` refuses.

        Raises:
            InUse: Another one has a handle on it.
            NameTaken: It is another's.
        """
        self._check_owner(name, claimant.owner)
        record = self._records.get(name)
        if record is not None:
            others = [holder.owner for holder in record.holders if holder is not claimant]
            if record.leases and not record.lifetime.startswith(LEASED):
                others.append("a handle that was pickled")
            if others:
                then = "delete it" if record.lifetime == "eternal" else "it goes by itself"
                raise InUse(
                    f"the binding {name!r} is in use by {', '.join(others)}: {then} once that has "
                    "let go of it",
                    name=name,
                    holders=tuple(others),
                )

    def forget(self, name: str) -> None:
        """Note that a name is no binding any more."""
        record = self._records.pop(name, None)
        if record is not None:
            for holder in record.holders:
                holder.names.discard(name)

    def _check_owner(self, name: str, owner: str) -> None:
        record = self._records.get(name)
        if record is None or record.owner == owner or not self._is_alive(record.owner):
            return
        raise NameTaken(
            f"the name {name!r} is taken by session {record.owner}, whose binding it is "
            f"({record.lifetime}): use another name, or have that session delete it",
            name=name,
            owner=record.owner,
        )

    def _tidy(self, record: Record) -> None:
        if not record.is_held and self._records.get(record.name) is record:
            del self._records[record.name]
            if self._ident_of(record.name) == record.ident:
                self._drop(record.name)


def seconds_of(lifetime: str) -> float | None:
    """Return how long a binding of this lifetime stays by itself; None for any other.

    Raises:
        ValueError: It is no lifetime at all.
    """
    if lifetime in ("command", "eternal", "collected"):
        return None
    if lifetime.startswith(LEASED):
        try:
            seconds = float(lifetime.removeprefix(LEASED))
        except ValueError:
            seconds = 0.0
        if 0 < seconds <= 1e9:
            return seconds
    raise ValueError(
        f"lifetime {lifetime!r:.40}: it must be 'command', 'eternal', 'collected' or 'leased' with "
        "seconds"
    )
