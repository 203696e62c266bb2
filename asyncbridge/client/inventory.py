"""What ``bridge.bindings()`` and ``bridge.memory()`` tell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BindingInfo", "DeviceMemory", "MemoryInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingInfo:
    """Something that lives in the worker.

    Attributes:
        name: In the namespace; empty for an object that has none there, but is kept.
        number: The kept object's own; 0 for what no reference was ever told of.
        type: The full name of its class.
        text: A short repr.
        size: Bytes, as far as they are known.
        device: Where it lies, as Keras says it; may be empty.
        lifetime: ``"eternal"``, ``"collected"``, ``"leased 60.0"``; ``"command"`` for what goes with
            the command that runs; ``"reference"`` for a kept object; ``"code"`` for a name that code has set, which stays until code deletes it.
        owner: The session that has set it; empty for what code has set.
        age: Seconds since then; 0 for what code has set.
        holders: The sessions that have a handle on it.
    """

    name: str
    number: int = 0
    type: str = ""
    text: str = ""
    size: int = 0
    device: str = ""
    lifetime: str = ""
    owner: str = ""
    age: float = 0.0
    holders: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> BindingInfo:
        """Take the known fields of a worker's answer."""
        known = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        known["holders"] = tuple(data.get("holders") or ())
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMemory:
    """One device's memory, in bytes, as its backend tells it.

    Attributes:
        used: What is allocated now.
        peak: The most that was.
        total: What there is; 0 where that is not told.
    """

    name: str
    used: int
    peak: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryInfo:
    """The memory that a worker takes.

    Attributes:
        resident: Of its process, in bytes.
        machine: What the machine has, or the control group that the worker is in.
        devices: Of accelerators, where their backend tells it.
        bindings: What of it is known by name, the largest first. The sum may be less, for code
            and libraries take memory, too, and more, where two share theirs.
    """

    @property
    def other(self) -> int:
        """Resident bytes that no binding accounts for: libraries, leaks, and what objects hide."""
        return max(0, self.resident - sum(each.size for each in self.bindings))

    resident: int
    machine: int
    devices: tuple[DeviceMemory, ...]
    bindings: tuple[BindingInfo, ...]

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> MemoryInfo:
        """Take the known fields of a worker's answer."""
        devices = [
            {each.name: row[each.name] for each in fields(DeviceMemory) if each.name in row}
            for row in data.get("devices", ())
        ]
        bindings = [BindingInfo.parse(row) for row in data.get("bindings", ())]
        return cls(
            resident=data["resident"],
            machine=data["machine"],
            devices=tuple(DeviceMemory(**row) for row in devices),
            bindings=tuple(sorted(bindings, key=lambda each: -each.size)),
        )
