"""What is told of commands, from what the client knows and the worker reports."""

from __future__ import annotations

from asyncbridge.client.inherited import Inherited
from asyncbridge.client.pending import Pending
from asyncbridge.client.standing import CommandInfo, standing
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.messages import Command, QueueReport


def test_what_is_over_here_is_left_out() -> None:
    """A command that was rejected here, while the worker has not answered yet, is no more."""
    client = ClientProtocol(session="s")
    client.submit(Command(id=1, code="x"))
    pending: dict[int, Pending] = {}
    report = QueueReport(id=1, ahead=(0,), others=2)
    assert standing(client, pending, report, Inherited(client.held)) == []


def test_what_is_told_of_one_that_is_done() -> None:
    """Its id alone, if nobody knows more."""
    info = CommandInfo(id=3)
    assert (info.state, info.position, info.others, info.size) == ("done", None, None, 0)
