"""What ``bridge.info()`` tells of a worker."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["WorkerInfo"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker as it was when it answered.

    Attributes:
        incarnation: Id of this life of the worker's process.
        state: ``importing``, ``ready`` or ``failed``.
        pid: Its process id.
        started_at: Unix time, in seconds.
        memory: Resident memory, in bytes.
        queued: Commands queued or running, of all sessions.
        queued_bytes: Bytes that they hold.
        sessions: Connected sessions.
        running: The running command: ``id``, ``session``, ``label``, ``seconds``; or None.
        backend: Keras's backend, None for a worker without Keras.
        versions: Versions by package, once imported.
        devices: Keras's names of the devices, once imported.
    """

    incarnation: str
    state: str
    pid: int
    started_at: float
    memory: int
    queued: int
    queued_bytes: int
    sessions: int
    running: Mapping[str, Any] | None
    backend: str | None
    versions: Mapping[str, str]
    devices: tuple[str, ...]

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> WorkerInfo:
        """Take the known fields of a worker's answer; a newer worker may send more."""
        known = {field.name: data.get(field.name) for field in fields(cls)}
        known["devices"] = tuple(data.get("devices") or ())
        return cls(**known)  # type: ignore[arg-type] # plain JSON of our own worker
