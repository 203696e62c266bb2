"""What became of commands of the HTTP pair: waited for, kept within bounds, and told as JSON."""

from __future__ import annotations

import asyncio

import orjson
import pytest

from asyncbridge.protocol.limits import Bound
from asyncbridge.protocol.messages import Fault, Halted, Payload
from asyncbridge.serialization.codec import encode
from asyncbridge.tasks import spawn
from asyncbridge.worker.orders import read_orders
from asyncbridge.worker.tickets import Kept, Ticket, document_of


def ticket(number: int, forgotten: list[Ticket] | None = None) -> Ticket:
    """Return a new command's."""
    ((order,), _) = read_orders(orjson.dumps({"id": number, "code": "1"}))
    gone: list[Ticket] = [] if forgotten is None else forgotten
    return Ticket(order, "s", number, gone.append)


def finished(number: int, size: int = 10, forgotten: list[Ticket] | None = None) -> Ticket:
    """Return one with a value of some size."""
    made = ticket(number, forgotten)
    made.value = Payload(header=orjson.Fragment(b"1"), size=size)
    made.finish("completed")
    return made


def test_the_oldest_outcome_makes_room() -> None:
    """By count and by bytes; the command stays known, until too many are."""
    forgotten: list[Ticket] = []
    kept = Kept(Bound(count=3, size=100), expired=2)
    tickets = [finished(number, forgotten=forgotten) for number in range(4)]
    for each in tickets:
        kept.add(each)
    assert [each.state for each in tickets] == ["expired", *["completed"] * 3]
    large = finished(9, size=500, forgotten=forgotten)
    kept.add(large)
    assert [each.state for each in tickets] == ["expired"] * 4
    assert all(each.value is None for each in tickets)
    assert large.state == "completed"  # one that is alone may be of any size
    assert forgotten == tickets[:2]


def test_an_error_with_causes() -> None:
    """They stand in one another, with their frames as objects."""
    failed = ticket(1)
    cause = Fault(type="KeyError", message="1", cause=Fault(type="OSError", message="2"))
    failed.fault = Fault(
        type="ValueError", message="0", frames=(("f.py", 3, "main", "x = 1"),), cause=cause,
        details=(("errno", "2"),), folds=((4, 2, "of Keras"),),
    )  # fmt: skip
    failed.finish("failed")
    error = document_of(failed)["error"]
    assert error["frames"] == [{"file": "f.py", "line": 3, "function": "main", "source": "x = 1"}]
    assert error["details"] == {"errno": "2"}
    assert error["folds"] == [{"line": 4, "count": 2, "what": "of Keras"}]
    assert error["cause"]["cause"]["type"] == "OSError"
    assert error["cause"]["cause"]["cause"] is None


def test_a_value_that_has_been_read() -> None:
    """Its tree is written as it was."""
    done = ticket(1)
    done.value = Payload(header=[1, {"a": None}])
    done.finish("completed")
    assert orjson.loads(orjson.dumps(document_of(done)))["value"] == [1, {"a": None}]
    done.value = encode(b"\x01\x02")
    assert orjson.loads(orjson.dumps(document_of(done)))["buffers"] == ["AQI="]


def test_a_halt() -> None:
    """Its error is told with what a decision needs, until the command goes on."""
    one = ticket(1)
    one.stop_at(Halted(id=1, error="0-1", epoch=2, fault=Fault(type="OSError", message="gone")))
    document = document_of(one)
    assert (document["state"], document["error_id"], document["epoch"]) == ("halted", "0-1", 2)
    assert document["error"]["type"] == "OSError"
    assert (one.is_finished, one.size) == (False, 4)
    one.go_on()
    assert document_of(one) == {"session": "s", "id": 1, "state": "queued"}


@pytest.mark.asyncio
async def test_waiting_for_a_halt() -> None:
    """It ends a wait, and none begins while it lasts, unless that is wished."""
    one = ticket(1)
    waiting = spawn(one.wait(3600), name="wait")
    await asyncio.sleep(0)
    one.stop_at(Halted(id=1, error="0-1", epoch=1, fault=Fault(type="OSError", message="gone")))
    await waiting
    await one.wait(3600)
    waiting = spawn(one.wait(3600, through_halt=True), name="wait")
    await asyncio.sleep(0)
    assert not waiting.done()
    one.finish("cancelled")
    await waiting


@pytest.mark.asyncio
async def test_waiting() -> None:
    """It ends with the command, or with the time; one that is over is not waited for."""
    one = ticket(1)
    await one.wait(0)
    assert not one.is_finished
    waiting = [spawn(one.wait(3600), name="wait") for _ in range(2)]
    await asyncio.sleep(0)
    waiting.pop().cancel()
    await asyncio.sleep(0)
    one.finish("cancelled")
    await waiting.pop()
    await one.wait(3600)
