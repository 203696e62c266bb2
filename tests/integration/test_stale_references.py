"""References whose objects are gone, and such as go from one process to another."""

from __future__ import annotations

import asyncio
import pickle
import time
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge import Ref, StaleReference, connect
from asyncbridge.errors import BridgeClosed
from tests.integration.test_decisions import started
from tests.integration.test_driven_objects import OVER, kept, nothing_kept
from tests.limits import HANG_S

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from asyncbridge.client import Bridge
    from tests.integration.conftest import Script

__all__ = ["started"]  # a fixture

pytestmark = [pytest.mark.asyncio, pytest.mark.slow, pytest.mark.usefixtures("no_leaks")]


async def next_worker(bridge: Bridge) -> None:
    """Kill the worker, and wait for the one that comes in its place."""
    with pytest.raises(Exception, match="SIGKILL"):
        await bridge.send("import os; os.kill(os.getpid(), 9)")
    assert await bridge.send("1") == 1


@OVER
async def test_after_the_worker_s_death(transport: Any) -> None:
    """Each use is refused at once, and says which object it was, of which worker, and when that died."""
    async with connect(backend=None, restart="on-failure", transport=transport) as bridge:
        before, begun = bridge.incarnation, time.time()
        thing, other = await bridge.send("[object(), object()]")
        number = thing.about.number
        await next_worker(bridge)
        with pytest.raises(StaleReference) as caught:
            bridge.send("x", {"x": [thing]})
        error = caught.value
        assert (error.number, error.incarnation) == (number, before)
        assert error.died_at is not None
        assert begun <= error.died_at <= time.time()
        when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(error.died_at))
        assert f"an object of worker {before}, which ended at {when}" in str(error)
        assert "SIGKILL" in error.reason
        assert str(error).startswith(f"<Ref {number} object 16 bytes> is gone: ")
        with pytest.raises(StaleReference):
            await thing.anything
        with pytest.raises(StaleReference):
            other.n = 1
        with pytest.raises(StaleReference):
            pickle.dumps(other)
        anew = await bridge.send("object()")
        assert await bridge.send("x is not None", {"x": anew})
        del thing, other
        await bridge.send("None")
        assert list(await kept(bridge)) == [anew.about.number]


async def test_what_was_sent_before_and_had_not_begun() -> None:
    """A command that waited with a reference is told that it is stale; others run."""
    async with connect(backend=None) as bridge:
        thing = await bridge.send("object()")
        dying = bridge.send("import os; os.kill(os.getpid(), 9)")
        behind = bridge.send("ran = True; str(x)", {"x": thing})
        free = bridge.send("1 + 1")
        told = await asyncio.gather(dying, behind, free, return_exceptions=True)
        assert isinstance(told[1], StaleReference)
        assert told[1].number == thing.about.number
        assert told[1].died_at is not None
        assert told[2] == 2
        assert await bridge.send("'ran' in globals()") is False


async def test_of_another_bridge() -> None:
    """A reference is refused with what to do; a promise's value goes through here."""
    async with connect(backend=None) as one, connect(backend=None) as other:
        rows = await one.send("[1, 2]", keep=True)
        with pytest.raises(ValueError, match="is in the worker of another bridge"):
            other.send("x", {"x": {"deep": [rows]}})
        assert await other.send("x", {"x": rows[0]}) == 1
        assert await other.send("sum(x)", {"x": rows.value()}) == 3
        assert await other.send("sum(x)", {"x": await rows.value()}) == 3


async def test_of_a_bridge_that_is_closed() -> None:
    """It says so, wherever it is used."""
    async with connect(backend=None) as bridge:
        rows = await bridge.send("[1, 2]", keep=True)
        pickled = pickle.dumps(rows)
    with pytest.raises(StaleReference, match="its bridge was closed"):
        rows[0].promise()
    with pytest.raises(StaleReference, match="its bridge was closed"):
        pickle.dumps(rows)
    with pytest.raises(BridgeClosed, match="unpickle it where a bridge to its worker is open"):
        pickle.loads(pickled)
    async with connect(backend=None):
        with pytest.raises(StaleReference, match="is of worker .* to another one"):
            pickle.loads(pickled)


async def test_released_and_out_of_its_scope() -> None:
    """The worker lives: there is no time of death, and the reason says how it was released."""
    async with connect(backend=None) as bridge:
        async with bridge.scope():
            scoped = await bridge.send("object()")
            expression = scoped.anything
        released = await bridge.send("object()")
        released.release()
        with pytest.raises(StaleReference) as caught:
            await expression
        assert caught.value.reason == "released at the end of its scope"
        assert caught.value.died_at is None
        with pytest.raises(StaleReference, match=r"was released by release\(\)") as caught:
            bridge.send("x", {"x": released})
        assert (caught.value.number, caught.value.incarnation) == (
            released.about.number,
            bridge.incarnation,
        )
        await nothing_kept(bridge)


@OVER
async def test_pickles_between_two_clients(started: Path, transport: Any) -> None:
    """Both have the same object, whoever lets go first; it ends with the last, and the lease."""
    url = f"unix://{started}/worker.sock"
    async with connect(url, transport=transport) as one:
        rows = await one.send("rows = [1]\nrows", keep=True)
        table = await one.put({"a": 1}, name="table")
        pickled = pickle.dumps([rows, table])
        number = rows.about.number
        async with connect(url, transport=transport) as other:
            theirs, handle = pickle.loads(pickled)  # the bridge entered last is the current one
            assert isinstance(theirs, Ref)
            assert theirs is not rows
            assert theirs.about.number == number
            assert await other.send("x is rows", {"x": theirs}) is True
            assert await handle["a"] == 1
            (holders,) = (await kept(other)).values()
            assert len(holders) == 3
            assert "a lease" in holders
            (named,) = [each for each in await other.bindings() if each.name == "table"]
            assert len(named.holders) == 3
            theirs.append(2)
            await theirs.append(2)
            assert await rows.value() == [1, 2]
            back = pickle.loads(pickle.dumps(theirs))
            assert back is theirs
            theirs.release()
            await other.send("None")
            assert len((await kept(other))[number]) == 2
            del handle
        assert await rows[0] == 1
        del rows, table
        for _ in range(2):
            await one.send("None")
        assert (await kept(one))[number] == ("a lease",)
        (named,) = [each for each in await one.bindings() if each.name == "table"]
        assert named.holders == ("a lease",)
        again, table = pickle.loads(pickled)
        assert await one.send("x is rows", {"x": again}) is True
        assert await table["a"] == 1


async def test_pickles_for_another_process(
    started: Path, run_script: Callable[[str], Script]
) -> None:
    """Another process attaches by the URL, and has the object; this one's reference stays."""
    url = f"unix://{started}/worker.sock"
    async with connect(url) as bridge:
        thing = await bridge.send("seen = []\nseen", keep=True)
        script = run_script(
            "import asyncio, pickle, asyncbridge\n"
            "async def main():\n"
            f"    async with asyncbridge.connect({url!r}):\n"
            f"        thing = pickle.loads({pickle.dumps(thing)!r})\n"
            "        await thing.append('there')\n"
            "        print(await thing[0], thing.about.number)\n"
            "asyncio.run(main())\n"
        )
        out, errors = await asyncio.to_thread(script.finish, HANG_S)
        assert (out.strip(), errors) == (f"there {thing.about.number}", "")
        assert await thing.value() == ["there"]
