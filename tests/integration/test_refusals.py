"""What one process refuses of the other's values, between real processes."""

from __future__ import annotations

from typing import Any

import pytest

import asyncbridge
from asyncbridge.client import connect
from asyncbridge.errors import DecodeError, RemoteError, SerializationError
from asyncbridge.references import Ref

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("no_leaks"), pytest.mark.asyncio]

IN_THE_WORKER = """
import asyncbridge

class Coin: pass

@asyncbridge.serializes(Coin, name="tests.Coin")
class CoinForm:
    encode = staticmethod(lambda coin: 1)
    decode = staticmethod(lambda data, version: Coin())
None
"""


class Note:
    """A type that the client alone knows."""


@asyncbridge.serializes(Note, name="tests.Note")
class NoteForm:
    """Its form."""

    @staticmethod
    def encode(value: Note) -> object:
        return 1

    @staticmethod
    def decode(data: Any, version: int) -> object:
        return Note()


async def test_a_type_that_one_side_alone_has_registered() -> None:
    """The error says which side lacks it, and where in which value; the bridge goes on."""
    async with connect(backend=None) as bridge:
        text = r"""bindings\["n"\]\[1\]: no type is registered under 'tests.Note' in the worker; both"""
        with pytest.raises(RemoteError, match=text) as caught:
            await bridge.send("n", {"n": [0, Note()]})
        assert caught.value.type == "asyncbridge.errors.DecodeError"
        await bridge.send(IN_THE_WORKER)
        text = r"""^result\["c"\]: no type is registered under 'tests.Coin' in the client; both"""
        with pytest.raises(DecodeError, match=text):
            await bridge.send("{'c': Coin()}")
        with pytest.raises(RemoteError, match=r"item 1 of the stream s\[0\]: .* in the worker"):
            await bridge.send("[*s]", {"s": asyncbridge.stream([1, [Note()]])})
        assert await bridge.send("1 + 1") == 2


async def test_a_result_whose_bytes_mean_nothing() -> None:
    """It stays in the worker: nothing of it is read here."""
    async with connect(backend=None) as bridge:
        stays = await bridge.send(
            "import numpy\n"
            "raw = numpy.zeros((1000, 1000), numpy.uint8); raw[1, 2] = 7\n"
            "[raw.view(bool)]"
        )
        assert isinstance(stays, Ref)
        with pytest.raises(SerializationError, match="an object of class list stays in the worker"):
            await stays.value()
        assert (await (stays[0].view("uint8") * 1)).max() == 7
