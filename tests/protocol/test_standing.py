"""Where commands stand in the client, and how they leave it by priority."""

from __future__ import annotations

from asyncbridge.errors import Phase
from asyncbridge.protocol.client import ClientProtocol
from asyncbridge.protocol.journal import Entry, session_digest
from asyncbridge.protocol.messages import (
    PROTOCOL_VERSION,
    Accepted,
    Command,
    Completed,
    Fault,
    Halted,
    Message,
    Payload,
    Prioritize,
    Release,
    Resumed,
    Started,
    Welcome,
)


def opened(window: int = 2) -> ClientProtocol:
    """Return a client that has been welcomed."""
    client = ClientProtocol(session="s")
    client.greet()
    client.outgoing()
    client.receive(
        Welcome(
            version=PROTOCOL_VERSION,
            incarnation="one",
            window=window,
            window_bytes=1000,
            frame_bytes=1 << 20,
            state="ready",
        )
    )
    return client


def submit(client: ClientProtocol, *commands: tuple[int, int]) -> None:
    """Submit commands, given by id and priority."""
    for number, priority in commands:
        client.submit(Command(id=number, code="x", priority=priority))


def sent(messages: list[Message]) -> list[tuple[int, int]]:
    """Return the commands among messages: their ids, and what they overtake."""
    return [(m.id, m.overtakes) for m in messages if isinstance(m, Command)]


def done(client: ClientProtocol, number: int) -> None:
    """Let the worker run a command."""
    for message in (Accepted(ids=(number,)), Started(id=number)):
        client.receive(message)
    client.receive(Completed(id=number, value=Payload(header=None)))


def test_a_high_one_leaves_first() -> None:
    """It names the lowest id that it overtakes; those overtaken follow in their order."""
    client = opened()
    submit(client, *((number, 0) for number in range(1, 10_001)), (10_001, 3), (10_002, 3))
    assert sent(client.outgoing()) == [(10_001, 1), (10_002, 1)]
    done(client, 10_001)
    done(client, 10_002)
    assert sent(client.outgoing()) == [(1, 0), (2, 0)]


def test_given_another_priority_in_the_backlog() -> None:
    """It leaves in its new place, and is sent with its new priority."""
    client = opened(window=1)
    submit(client, (1, 0), (2, 0), (3, 0))
    client.outgoing()
    assert client.prioritize(3, 1)
    assert client.order() == [3, 1, 2]
    done(client, 1)
    (command,) = [m for m in client.outgoing() if isinstance(m, Command)]
    assert (command.id, command.priority, command.overtakes) == (3, 1, 2)


def test_given_another_priority_in_the_worker() -> None:
    """The worker is told; not of one that runs, or is done."""
    client = opened()
    submit(client, (1, 0), (2, 0))
    client.outgoing()
    assert client.prioritize(2, -4)
    assert client.outgoing() == [Prioritize(id=2, priority=-4)]
    assert client.priority_of(2) == -4
    client.receive(Accepted(ids=(1, 2)))
    client.receive(Started(id=1))
    assert not client.prioritize(1, 1)
    assert not client.prioritize(9, 1)
    assert client.outgoing() == []


def test_positions() -> None:
    """What runs comes first, then those that wait, by priority, wherever they wait."""
    client = opened()
    submit(client, (1, 0), (2, 0), (3, 0), (4, 1))
    client.outgoing()
    client.receive(Accepted(ids=(4, 1)))
    client.receive(Started(id=4))
    submit(client, (5, 2))
    assert client.order() == [4, 5, 1, 2, 3]
    assert [client.ahead_of(number) for number in (4, 5, 1, 3)] == [0, 1, 2, 4]


def test_a_halted_one_stands_first() -> None:
    """Whatever its priority: no other of the session runs before it, nor when it runs again."""
    client = opened()
    submit(client, (1, -1))
    client.outgoing()
    client.receive(Accepted(ids=(1,)))
    client.receive(Started(id=1))
    fault = Fault(type="OSError", message="gone")
    client.receive(Halted(id=1, error="0-1", epoch=1, fault=fault))
    submit(client, (2, 0), (3, 1))
    assert client.order() == [1, 3, 2]
    client.receive(Resumed(id=1, error="0-1", epoch=1))
    assert [client.ahead_of(number) for number in (1, 2, 3)] == [0, 2, 1]


def test_a_release_waits_for_those_that_were_overtaken() -> None:
    """It leaves once all have left that were sent before it."""
    client = opened(window=1)
    submit(client, (1, -1), (2, 0))
    client.release(("x",))
    submit(client, (3, 0))
    for number in (2, 3):
        assert not [m for m in client.outgoing() if isinstance(m, Release)]
        done(client, number)
    assert client.outgoing()[-1] == Release(names=("x",))


def test_a_name_that_is_set_anew_is_kept() -> None:
    """A release that waits for a low one must not drop what a later command has set."""
    client = opened(window=1)
    submit(client, (1, 0), (2, -1))
    client.outgoing()
    client.release(("x", "y"))
    client.release(("x",))
    client.keep(["x"])
    done(client, 1)
    assert [m for m in client.outgoing() if isinstance(m, Release)] == [Release(names=("y",))]


def lost(entry: Entry) -> dict[int, Phase]:
    """Return the phases of two default, one high and one moved command."""
    client = opened(window=5)
    submit(client, (1, 0), (2, 0), (3, 4), (4, 0))
    client.outgoing()
    client.prioritize(4, 1)
    client.prioritize(4, 0)
    return client.lose(entry)


def test_phases_of_commands_with_priorities() -> None:
    """The journal tells of the default ones apart; of others, only of the one it names."""
    mine = session_digest("s")
    assert lost(Entry(session=mine, command_id=3, finished=False, ordered_id=1)) == {
        1: "finished_unreported",
        2: "not_started",
        3: "started",
        4: "unknown",
    }
    assert lost(Entry(session=mine, command_id=2, finished=True, ordered_id=2)) == {
        1: "finished_unreported",
        2: "finished_unreported",
        3: "unknown",
        4: "unknown",
    }
