"""Questions about the queue, and changes of it, in the protocol."""

from __future__ import annotations

import pytest

from asyncbridge.errors import RemoteProtocolError
from asyncbridge.protocol.messages import (
    Command,
    Hello,
    Message,
    Prioritize,
    QueueReport,
    QueueRequest,
)
from asyncbridge.protocol.worker import WorkerProtocol


def opened() -> WorkerProtocol:
    """Return a worker's side that has a session."""
    worker = WorkerProtocol(incarnation="one")
    worker.receive(Hello(oldest=1, newest=1, session="s"), worker_state="ready")
    worker.outgoing()
    return worker


@pytest.mark.parametrize("message", [QueueRequest(id=1), Prioritize(id=1, priority=2)])
def test_they_are_for_the_caller(message: Message) -> None:
    """The protocol passes them on, whatever waits."""
    assert opened().receive(message, worker_state="ready") == message


def test_a_report_is_the_workers() -> None:
    """A client does not send it."""
    with pytest.raises(RemoteProtocolError, match="does not send QueueReport"):
        opened().receive(QueueReport(id=1), worker_state="ready")


def test_commands_overtake() -> None:
    """Ids need not rise where a command says what it has overtaken; none is run twice."""
    worker = opened()
    worker.receive(Command(id=3, code="", priority=1, overtakes=1), worker_state="ready")
    for number in (1, 2):
        worker.receive(Command(id=number, code=""), worker_state="ready")
    again = worker.receive(Command(id=2, code=""), worker_state="ready")
    assert not isinstance(again, Command)
