"""What ``bridge.info()`` tells of a worker."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.client.figures import TransferInfo

__all__ = ["Questions", "WorkerInfo"]


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
        transfers: How large arrays travel between it and this client.
        halted: Commands of all sessions that have failed and wait for a decision: ``error_id``,
            ``epoch``, ``session`` and its ``name``, ``command``, ``label``, ``code``, the names of its
            ``bindings``, ``type``, ``message``, ``seconds`` halted, and what becomes of it by
            itself: the ``default``, in ``remaining`` seconds, None for never.
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
    transfers: TransferInfo
    halted: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> WorkerInfo:
        """Take the known fields of a worker's answer; a newer worker may send more."""
        known = {field.name: data.get(field.name) for field in fields(cls)}
        known["halted"] = tuple(data.get("halted") or ())
        known["devices"] = tuple(data.get("devices") or ())
        return cls(**known)  # type: ignore[arg-type] # plain JSON of our own worker


class Questions:
    """What a session has asked of the worker, and not heard yet; on the loop alone."""

    def __init__(self) -> None:
        self._open: dict[int, asyncio.Future[Any]] = {}
        self._newest = 0

    def ask(self) -> tuple[int, asyncio.Future[Any]]:
        """Return a number to ask by, and the answer to come."""
        self._newest += 1
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._open[self._newest] = future
        return self._newest, future

    def answer(self, number: int, told: object) -> None:
        """Take the worker's answer, if somebody still waits for it."""
        future = self._open.pop(number, None)
        if future is not None and not future.done():
            future.set_result(told)

    def fail(self, error: Exception) -> None:
        """Tell those who wait that no answer will come."""
        for future in self._open.values():
            if not future.done():
                future.set_exception(error)
        self._open.clear()
