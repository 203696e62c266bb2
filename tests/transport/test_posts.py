"""Wires of the HTTP pair: what is posted comes once, in order, and an end is noticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Output
from asyncbridge.serialization.envelopes import Envelope, read_envelope
from asyncbridge.serialization.frames import ORIGIN, Place
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed
from asyncbridge.transport.posts import INBOX, ONCE, Poster, PostFailed, PostWire, detail_of
from asyncbridge.transport.retries import Patience
from tests.limits import HANG_S

pytestmark = [pytest.mark.asyncio, pytest.mark.usefixtures("no_leaks")]

LONG = 3600.0
URL = "http://x/post"


async def at_once(_: float) -> None:
    """Stand for any wait."""


PATIENT = Patience(sleep=at_once)


class Far:
    """The other side: a server that answers as it is told, and what was posted to it."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.http = http
        self.statuses: list[int] = []
        self.envelopes: list[Envelope] = []
        self.headers: list[dict[str, str]] = []
        self.came = asyncio.Semaphore(0)
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def handle(self, request: web.Request) -> web.Response:
        self.envelopes.append(read_envelope(await request.read()))
        self.headers.append(dict(request.headers))
        self.came.release()
        await self.may_answer.wait()
        status = self.statuses.pop(0) if self.statuses else 204
        return web.Response(status=status, headers={"Asyncbridge-Refused": "not you"})

    async def next(self) -> Envelope:
        async with asyncio.timeout(HANG_S):
            await self.came.acquire()
        return self.envelopes[-1]

    def wire(self, *, patience: Patience = ONCE, beat: float = LONG) -> PostWire:
        poster = Poster(self.http, URL, {"Authorization": "Bearer t"}, patience=patience)
        return PostWire(poster, extra={"callback": "http://c"}, beat=beat)


@asynccontextmanager
async def other_side(folder: Path) -> AsyncGenerator[Far, None]:
    """Serve, and yield it with a client."""
    path = str(folder / "s")
    app = web.Application()
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path)) as http:
        far = Far(http)
        app.add_routes([web.post("/post", far.handle)])
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.UnixSite(runner, path).start()
        try:
            yield far
        finally:
            await runner.cleanup()


def text(number: int) -> Output:
    """Return a message that can be told from others."""
    return Output(id=number, stream="stdout", text="x")


def envelope(number: int) -> Envelope:
    """Return one of the other side's."""
    return Envelope(number=number, messages=(text(number),), place=Place(number, 0))


async def test_what_is_sent(tmp_path: Path) -> None:
    """Envelopes are numbered; the first one alone says where to answer."""
    async with other_side(tmp_path) as far:
        wire = far.wire()
        await wire.send([text(1), text(2)], Place(0, 5))
        await wire.send([text(3)], Place(2, 6))
        assert [each.number for each in far.envelopes] == [0, 1]
        assert [each.callback for each in far.envelopes] == ["http://c", ""]
        assert [each.place for each in far.envelopes] == [Place(0, 5), Place(2, 6)]
        assert far.envelopes[0].messages == (text(1), text(2))
        assert far.headers[0]["Authorization"] == "Bearer t"
        assert far.headers[0]["Content-Type"] == "application/json"
        await wire.close()


async def test_what_nobody_answers_is_posted_again(tmp_path: Path) -> None:
    """With its number: the other side takes it once."""
    nowhere = aiohttp.UnixConnector(str(tmp_path / "none"))
    async with other_side(tmp_path) as far, aiohttp.ClientSession(connector=nowhere) as gone:
        tries = 0
        there = far.http

        class Recovering(Poster):
            async def post_once(self, data: bytes) -> None:
                nonlocal tries
                tries += 1
                self._http = gone if tries < 3 else there
                await super().post_once(data)

        wire = PostWire(Recovering(gone, URL, {}, patience=PATIENT), beat=LONG)
        await wire.send([text(1)], ORIGIN)
        assert tries == 3
        assert [each.number for each in far.envelopes] == [0]
        await wire.close()


async def test_a_refusal_is_final(tmp_path: Path) -> None:
    """It is not posted again, the reason is told, and the reader is woken."""
    async with other_side(tmp_path) as far:
        far.statuses = [403]
        wire = far.wire(patience=PATIENT)
        reading = spawn(wire.receive(), name="read")
        with pytest.raises(PostFailed, match="status 403, not you") as caught:
            await wire.send([text(1)], ORIGIN)
        assert (caught.value.status, caught.value.refused) == (403, "not you")
        with pytest.raises(ChannelClosed, match="status 403"):
            await reading
        with pytest.raises(ChannelClosed, match="status 403"):
            await wire.send([text(1)], ORIGIN)
        await wire.close()
        assert len(far.envelopes) == 1


@pytest.mark.parametrize(
    ("document", "detail"),
    [(b'{"detail": "so"}', "so"), (b'{"detail": 1}', ""), (b"[1]", ""), (b"<html>", ""), (b"", "")],
)
async def test_the_detail_of_a_problem(document: bytes, detail: str) -> None:
    """It is taken from where it stands, and whatever else is there is none."""
    assert detail_of(document) == detail


async def test_redirects_are_not_followed(tmp_path: Path) -> None:
    """One is a refusal like others."""
    async with other_side(tmp_path) as far:
        far.statuses = [307]
        with pytest.raises(PostFailed, match="status 307"):
            await far.wire().send([text(1)], ORIGIN)


async def test_nobody_there(tmp_path: Path) -> None:
    """The error has what the system says as its cause."""
    async with aiohttp.ClientSession(
        connector=aiohttp.UnixConnector(str(tmp_path / "none"))
    ) as http:
        wire = PostWire(Poster(http, URL, {}, patience=ONCE), beat=LONG)
        with pytest.raises(PostFailed, match="cannot be reached") as caught:
            await wire.send([text(1)], ORIGIN)
        assert isinstance(caught.value.__cause__, aiohttp.ClientConnectorError)


async def test_what_comes_is_read_once_and_in_order(tmp_path: Path) -> None:
    """One that comes again is dropped; where one is missing, that is an error."""
    async with other_side(tmp_path) as far:
        wire = far.wire()
        for number in (0, 1, 1, 0, 2):
            await wire.take(envelope(number))
        for number in range(3):
            assert await wire.receive() == ([text(number)], Place(number, 0))
        with pytest.raises(DecodeError, match="envelope 5 came where 3 is next"):
            await wire.take(envelope(5))
        await wire.close()


async def test_a_slow_reader_holds_up_the_writer(tmp_path: Path) -> None:
    """What is unread is bounded, and goes on when it is read."""
    async with other_side(tmp_path) as far:
        wire = far.wire()
        for number in range(INBOX - 1):
            await wire.take(envelope(number))
        taking = spawn(wire.take(envelope(INBOX - 1)), name="take")
        await asyncio.sleep(0)
        assert not taking.done()
        for number in range(INBOX):
            assert (await wire.receive())[0] == [text(number)]
        await taking
        await wire.close()


async def test_an_end_is_told(tmp_path: Path) -> None:
    """The other side's reader has what came before, and then the end."""
    async with other_side(tmp_path) as far:
        wire = far.wire()
        await wire.send([text(1)], ORIGIN)
        await far.next()
        await wire.close()
        assert (await far.next()).end
        other = far.wire()
        await other.take(envelope(0))
        await other.take(far.envelopes[-1])
        assert (await other.receive())[0] == [text(0)]
        with pytest.raises(ChannelClosed, match="the other side ended the connection"):
            await other.receive()
        await other.close()
        assert len(far.envelopes) == 2  # who was told does not tell


async def test_closing_does_not_wait_for_an_answer(tmp_path: Path) -> None:
    """A write that stands still ends with the wire."""
    async with other_side(tmp_path) as far:
        far.may_answer.clear()
        wire = far.wire()
        writing = spawn(wire.send([text(1)], ORIGIN), name="write", on_error=lambda _: None)
        await far.next()
        closing = spawn(wire.close(), name="close")
        with pytest.raises(ChannelClosed, match="was closed"):
            await writing
        far.may_answer.set()
        await closing


async def test_a_write_that_is_broken_off_ends_the_wire(tmp_path: Path) -> None:
    """Whether it came, nobody knows: its number cannot be given to another."""
    async with other_side(tmp_path) as far:
        far.may_answer.clear()
        wire = far.wire()
        writing = spawn(wire.send([text(1)], ORIGIN), name="write")
        await far.next()
        writing.cancel()
        await asyncio.wait([writing])
        with pytest.raises(ChannelClosed, match="broken off"):
            await wire.receive()
        far.may_answer.set()
        await wire.close()


async def test_silence_has_a_beat(tmp_path: Path) -> None:
    """An empty envelope tells how far its writer has read."""
    async with other_side(tmp_path) as far:
        wire = far.wire(beat=0.001)
        await wire.send([text(1), text(2)], Place(4, 9))
        await far.next()
        beat = await far.next()
        assert (beat.number, beat.messages, beat.place) == (1, (), Place(6, 9))
        await wire.close()


async def test_a_beat_that_nobody_takes_is_the_end(tmp_path: Path) -> None:
    """The reader notices, though it has nothing to write."""
    async with other_side(tmp_path) as far:
        far.statuses = [204, 410]
        wire = far.wire(beat=0.001)
        await wire.send([text(1)], ORIGIN)
        with pytest.raises(ChannelClosed, match="status 410"):
            async with asyncio.timeout(HANG_S):
                await wire.receive()
        await wire.close()


async def test_what_is_no_envelope_ends_the_wire(tmp_path: Path) -> None:
    """Its reader gets the error."""
    async with other_side(tmp_path) as far:
        wire = far.wire()
        wire.spoil(DecodeError("it is no JSON"))
        with pytest.raises(DecodeError, match="it is no JSON"):
            await wire.receive()
        await wire.close()
