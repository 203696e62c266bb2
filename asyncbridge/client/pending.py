"""A command that has no outcome yet, with the promise that waits for it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from asyncbridge.protocol.messages import Command
from asyncbridge.protocol.states import CommandState

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from asyncbridge.client.session import Session
    from asyncbridge.errors import RemoteError
    from asyncbridge.promise import Promise
    from asyncbridge.protocol.messages import Buffer, Payload

__all__ = ["Pending", "origin"]

STATE_NAMES = {
    CommandState.BACKLOG: "pending",
    CommandState.SENT: "pending",
    CommandState.QUEUED: "queued",
    CommandState.RUNNING: "running",
    CommandState.FINISHED: "running",  # its value is still on the way
}
PACKAGE_FOLDERS = tuple(
    str(folder) + "/"
    for folder in {
        Path(__file__).parent.parent,
        Path(__file__).parent.parent.resolve(),
        # Where the two rooms that stand beside the package really are.
        (Path(__file__).parent.parent / "models").resolve(),
        (Path(__file__).parent.parent / "serialization").resolve(),
    }
)


class Pending:
    """One command, from ``send`` until its promise is settled: the promise's source."""

    __slots__ = (
        "after",
        "annotate",
        "bindings",
        "bulk",
        "code",
        "id",
        "label",
        "lifetime",
        "origin",
        "promise",
        "session",
        "timer",
    )

    def __init__(
        self,
        promise: Promise[Any],
        *,
        code: str,
        bindings: Payload | None,
        lifetime: str,
        label: str,
        after: Sequence[Promise[Any]],
        annotate: Callable[[RemoteError], None] | None,
        origin: str,
    ) -> None:
        self.promise = promise
        self.code = code
        self.bindings = bindings
        self.lifetime = lifetime
        self.label = label
        self.after = after
        self.annotate = annotate
        self.origin = origin
        self.id = 0
        self.bulk: dict[str, Buffer] = {}
        self.session: Session | None = None
        self.timer: asyncio.TimerHandle | None = None

    @property
    def size(self) -> int:
        """Bytes that the command counts for."""
        return len(self.code) + (0 if self.bindings is None else self.bindings.size)

    @property
    def state(self) -> str:
        """``pending``, ``queued`` or ``running``, as far as the client knows."""
        if self.session is None:
            return "pending"
        return STATE_NAMES[self.session.protocol.command_state(self.id)]

    def cancel(self, promise: Promise[Any], msg: Any, mode: str | None) -> bool:
        """Ask for the command to be taken back; tells whether it still may be."""
        return self.session is not None and self.session.cancel(self)

    def settled(self) -> None:
        """Let go of all that a settled promise needs no more: it may live for long."""
        self.after = ()
        self.annotate = None
        self.bindings = None
        self.bulk = {}
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def command(self) -> Command:
        """Return the message, with the dependencies that have no outcome yet."""
        return Command(
            id=self.id,
            code=self.code,
            bindings=self.bindings,
            lifetime=self.lifetime,
            after=tuple(p.command_id for p in self.after if p.command_id),
            label=self.label,
        )


def origin() -> str:
    """Return the caller's line outside this package, as ``file:line, in function``."""
    frame = sys._getframe(1)
    while frame.f_code.co_filename.startswith(PACKAGE_FOLDERS) and frame.f_back is not None:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}, in {frame.f_code.co_name}"
