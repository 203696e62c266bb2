"""Large values of every kind, to a real worker and back, through shared memory and by streams."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from asyncbridge.client import Bridge, connect
from asyncbridge.errors import DependencyError, SerializationError
from asyncbridge.references import Ref

pytestmark = [pytest.mark.asyncio, pytest.mark.slow]

STRUCTURE = np.dtype([("a", "i1"), ("b", "f8")], align=True)


def one_hot() -> Any:
    """Make a one-hot matrix."""
    value = np.zeros((3000, 200), np.float32)
    value[np.arange(3000), np.arange(3000) % 200] = 1
    return value


def nearly_one_hot() -> Any:
    """Make a matrix that only begins like one."""
    value = one_hot()
    value[-1] = 0.5
    return value


VALUES: dict[str, Callable[[], Any]] = {
    "strided": lambda: np.arange(2_000_000.0).reshape(1000, 2000)[:, ::2],
    "big-endian": lambda: np.arange(2_000_000, dtype=">i4"),
    "Fortran with gaps": lambda: np.asfortranarray(np.arange(10**6).reshape(1000, 1000))[::2],
    "structured": lambda: np.ones(100_000, STRUCTURE),
    "one-hot": one_hot,
    "nearly one-hot": nearly_one_hot,
    "bools": lambda: np.arange(10**6) % 3 == 0,
    "bytearray": lambda: bytearray(range(250)) * 10_000,
}


@pytest.mark.parametrize("options", [{}, {"shared_memory": 0}], ids=["shared", "streams"])
async def test_it_comes_out_as_it_went_in(no_leaks: None, options: dict[str, Any]) -> None:
    """On either way, and once more on the way back."""
    async with connect(backend=None, **options) as bridge:
        for name, make in VALUES.items():
            value = make()
            back = await bridge.send("x", {"x": value})
            assert type(back) is type(value), name
            np.testing.assert_array_equal(np.asarray(back), np.asarray(value), strict=True)


async def test_commands_keep_their_order(connected: Callable[[], Bridge]) -> None:
    """Behind one whose bindings are looked through, and one that is cancelled meanwhile."""
    async with connected() as bridge:
        bridge.send("seen = []")
        makers: list[Callable[[], object]] = [one_hot, nearly_one_hot, lambda: None]
        for number in range(6):
            bridge.send(f"seen.append({number})", {"x": makers[number % 3]()})
        cancelled = bridge.send("seen.append('never')", {"x": one_hot()})
        assert cancelled.cancel()
        assert await bridge.send("seen") == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("way", ["connect", "send", "put"])
async def test_one_hot_matrices_go_as_their_columns_if_that_is_wanted(
    no_leaks: None, way: str, wanted: bool
) -> None:
    """Said once for a bridge, or for one command, which has the last word."""
    value = one_hot()
    said = None if way == "connect" else wanted
    async with connect(backend=None, one_hot=wanted is (way == "connect")) as bridge:
        if way == "put":
            await bridge.put(value, one_hot=said)
        else:
            assert await bridge.send("float(x.sum())", {"x": value}, one_hot=said) == 3000.0
        session = bridge._session
        assert session is not None
        arena = session._transfers._arena
        assert arena is not None
        # 6,000 bytes of columns travel with the command: no segment is made for them.
        assert (arena.total == 0) is wanted


FIND = """
def file_at(address):
    with open("/proc/self/maps", encoding="ascii") as maps:
        for line in maps:
            begin, _, end = line.split()[0].partition("-")
            if int(begin, 16) <= address < int(end, 16):
                return line.split()[-1]
"""


async def test_each_way_takes_one_copy(connected: Callable[[], Bridge]) -> None:
    """What either side looks at is the other side's file, whatever the array was like."""
    scope: dict[str, Any] = {}
    exec(FIND, scope)  # the same function on both sides
    async with connected() as bridge:
        session = bridge._session
        assert session is not None
        assert session._transfers._arena is not None
        own = session._transfers._arena.lease.name
        welcome = session.protocol.welcome
        assert welcome is not None
        await bridge.send(FIND + "import numpy\nkept = numpy.arange(400_000.0)")
        for code in ("kept", "kept[::2]", "kept + 1"):
            result = await bridge.send(code)
            assert welcome.arena in scope["file_at"](result.ctypes.data)
        for value in (np.arange(10**5), np.arange(10**6)[::2], np.ones(10**6, ">f4").astype("f4")):
            assert own in await bridge.send("file_at(x.ctypes.data)", {"x": value})


PLAIN: dict[str, Callable[[], Any]] = {
    "texts": lambda: [f"text number {number}" for number in range(100_000)],
    "records": lambda: [{"id": number, "name": None, "ratio": 0.5} for number in range(20_000)],
    "by number": lambda: {number: (number, str(number)) for number in range(20_000)},
    "text": lambda: "é" * 1_000_000,
    "bytes": lambda: bytes(range(256)) * 20_000,
    "arrays": lambda: [np.arange(number % 7) for number in range(3_000)],
}


@pytest.mark.parametrize("options", [{}, {"shared_memory": 0}], ids=["shared", "streams"])
async def test_many_parts(no_leaks: None, options: dict[str, Any]) -> None:
    """They come out as they went in, and what was sent before and behind keeps its place."""
    async with connect(backend=None, **options) as bridge:
        bridge.send("seen = []")
        promises = {}
        for number, (name, make) in enumerate(PLAIN.items()):
            bridge.send(f"seen.append({2 * number})")
            promises[name] = bridge.send(f"seen.append({2 * number + 1}); x", {"x": make()})
        assert await bridge.send("seen") == list(range(2 * len(PLAIN)))
        for name, make in PLAIN.items():
            back, value = await promises[name], make()
            assert type(back) is type(value), name
            np.testing.assert_equal(back, value)


async def test_many_parts_that_cannot_be_sent(connected: Callable[[], Bridge]) -> None:
    """The promise says where; what depends on it fails, and the next command runs."""
    async with connected() as bridge:
        promise = bridge.send("x", {"x": [{"a": 1}] * 10_000 + [{"a": object()}]})
        dependent = bridge.send("1", after=[promise])
        with pytest.raises(
            SerializationError, match=r'^bindings\["x"\]\[10000\]\["a"\]: object of'
        ):
            await promise
        with pytest.raises(DependencyError):
            await dependent
        assert await bridge.send("1 + 1") == 2


async def test_results_of_many_parts_one_of_which_cannot_be_sent(
    connected: Callable[[], Bridge],
) -> None:
    """A reference stands in its place."""
    async with connected() as bridge:
        *texts, stays = await bridge.send("['x'] * 10_000 + [object()]")
        assert texts == ["x"] * 10_000
        assert isinstance(stays, Ref)
        assert await bridge.send("type(x) is object", {"x": stays}) is True
        assert await bridge.send("1 + 1") == 2
