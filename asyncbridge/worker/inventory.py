"""What lives in the worker, described for whoever asks; looked at from a thread of its own."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.transport.sizes import memory_of_machine
from asyncbridge.worker.describing import describe
from asyncbridge.worker.footprint import device_memory
from asyncbridge.worker.guards import attempt
from asyncbridge.worker.memory import resident_bytes

if TYPE_CHECKING:
    from asyncbridge.protocol.messages import Question
    from asyncbridge.worker.lodging import Lodging

__all__ = ["inventory"]

MOST: Final = 10_000
"""Kept objects that are described; of more than that the first ones."""


def inventory(lodging: Lodging, about: Question) -> dict[str, Any]:
    """Return the answer to a question, in plain JSON data."""
    bindings = [*_named(lodging), *_numbered(lodging)]
    if about == "bindings":
        return {"bindings": bindings}
    return {
        "resident": resident_bytes(),
        "machine": memory_of_machine(),
        "devices": attempt(device_memory, list[dict[str, Any]]()),
        "bindings": bindings,
    }


def _named(lodging: Lodging) -> list[dict[str, Any]]:
    now, found = lodging.clock(), []
    records = {record.name: record for record in lodging.bindings.all()}
    for name in lodging.namespace.names():
        try:
            value = lodging.namespace.value_of(name)
        except NameError:  # it has gone meanwhile
            continue
        told = {"name": name, "number": lodging.objects.known(value) or 0, **_described(value)}
        record = records.get(name)
        if record is None and is_own_module(value):
            continue
        if record is None:
            lifetime = "command" if name in lodging.passing else "code"
            found.append({**told, "lifetime": lifetime})
            continue
        holders = sorted({holder.owner for holder in list(record.holders)})
        found.append({
            **told,
            "lifetime": record.lifetime,
            "owner": record.owner,
            "age": now - record.since,
            "holders": holders + ["a lease"] * bool(record.leases),
        })  # fmt: skip
    return found


def is_own_module(value: object) -> bool:
    """Tell what commands import of our own, whatever they are for."""
    return isinstance(value, ModuleType) and value.__name__.startswith("asyncbridge.worker.")


def _numbered(lodging: Lodging) -> list[dict[str, Any]]:
    now = lodging.clock()
    holders = lodging.objects.holders(list(lodging.claimants))
    return [
        {
            "name": "",
            "number": number,
            **_described(entry.value),
            "lifetime": "reference",
            "owner": next(iter(holders.get(number, ())), ""),
            "age": now - entry.since,
            "holders": holders.get(number, []) + ["a lease"] * bool(entry.leases),
        }
        for number, entry in lodging.objects.items()[:MOST]
    ]


def _described(value: object) -> dict[str, Any]:
    about = attempt(lambda: describe(value), None)
    if about is None:
        return {"type": type(value).__name__}
    return {"type": about.kind, "text": about.text, "size": about.size, "device": about.device}
