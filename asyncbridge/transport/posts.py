"""The HTTP pair's connections: both ends post envelopes to each other, and are each other's server.

A wire is one such pair of directions. It numbers what it posts, so that what is posted again, because
nobody answered, is taken once.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import aiohttp
import orjson

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.envelopes import write_envelopes
from asyncbridge.serialization.frames import ORIGIN, Place
from asyncbridge.tasks import spawn
from asyncbridge.transport.contract import ChannelClosed, Wire
from asyncbridge.transport.retries import Patience

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from yarl import URL

    from asyncbridge.errors import AsyncBridgeError
    from asyncbridge.protocol.messages import Message
    from asyncbridge.serialization.envelopes import Envelope

__all__ = ["ONCE", "PostFailed", "PostWire", "Poster", "body_of", "detail_of"]

BEAT_S: Final = 2.0
"""Seconds after which a side that had nothing to say posts an empty envelope."""
END_S: Final = 1.0
"""Seconds within which the other side takes the word that this one ends."""
CONNECT_S: Final = 10.0
INBOX: Final = 16
"""Envelopes that wait to be read; whoever posts one more waits for its answer."""
DETAIL_BYTES: Final = 4096
"""Of a refusal that are read."""
LONG_BYTES: Final = 256 * 1024
ONCE: Final = Patience(whole=0)
"""Nothing is posted again."""
LONGER: Final = Patience(whole=2.0)
"""A kept connection may just have ended; whatever takes longer is for another wire."""
_JSON: Final = {"Content-Type": "application/json"}


class PostFailed(ChannelClosed):
    """Nobody took what was posted.

    Attributes:
        status: The HTTP status of the answer, 0 without one.
        refused: The reason that the other side gives for not letting this one in.
    """

    def __init__(self, message: str, *, status: int = 0, refused: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.refused = refused


class Poster:
    """Posts to one address.

    Args:
        http: Makes the requests.
        url: Where to.
        headers: What they carry beside their content's type.
        patience: How often one is made again that nobody has answered.
    """

    def __init__(
        self,
        http: aiohttp.ClientSession,
        url: str | URL,
        headers: Mapping[str, str],
        *,
        patience: Patience = LONGER,
    ) -> None:
        self._http = http
        self._url = url
        self._headers = {**headers, **_JSON}
        self._patience = patience
        # An answer may take long: a side whose interpreter is held up is not dead.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_S)

    async def post(self, data: bytes) -> None:
        """Post bytes until they are taken.

        Raises:
            PostFailed: The other side refuses them, or cannot be reached.
        """
        attempts = self._patience.begin()
        while True:
            await attempts.wait()
            try:
                await self.post_once(data)
            except PostFailed as error:
                if error.status or attempts.are_over:
                    raise
            else:
                return

    async def post_once(self, data: bytes) -> None:
        """Post bytes.

        Raises:
            PostFailed: They were not taken.
        """
        try:
            async with self._http.post(
                self._url,
                data=body_of(data),
                headers=self._headers,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                if answer.status < 300:
                    return
                refused = answer.headers.get("Asyncbridge-Refused", "")
                told = refused or detail_of(await answer.content.read(DETAIL_BYTES))
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            # aiohttp raises RuntimeError when the session is closed.
            raise PostFailed(f"{self._url} cannot be reached: {error}") from error
        raise PostFailed(
            f"{self._url} refuses what is posted there: status {answer.status}, "
            f"{told or answer.reason}",
            status=answer.status,
            refused=refused,
        )


def detail_of(document: bytes) -> str:
    """Return what a problem document says to people; nothing if it is none."""
    try:
        tree = orjson.loads(document)
    except orjson.JSONDecodeError:
        return ""
    detail = tree.get("detail") if isinstance(tree, dict) else None
    return detail if isinstance(detail, str) else ""


def body_of(data: bytes) -> bytes | io.BytesIO:
    """Return bytes as aiohttp wants them: long ones piece by piece, for the loop's sake."""
    return data if len(data) < LONG_BYTES else io.BytesIO(data)


class PostWire(Wire):
    """One side of a pair of directions.

    Args:
        poster: Posts to the other side.
        extra: What the first envelope tells beside its messages.
        beat: Seconds after which an empty envelope goes, if there is nothing else: each side
            notices by it that the other one is gone.
    """

    def __init__(
        self, poster: Poster, *, extra: Mapping[str, str] | None = None, beat: float = BEAT_S
    ) -> None:
        self._poster = poster
        self._extra = dict(extra or {})
        self._beat = beat
        self._sending = asyncio.Lock()
        self._taking = asyncio.Lock()
        self._posted = 0
        self._place = ORIGIN
        self._taken = 0
        self._inbox: deque[tuple[list[Message], Place]] = deque()
        self._ready = asyncio.Event()
        self._room = asyncio.Event()
        self._ended: asyncio.Future[AsyncBridgeError] = asyncio.get_running_loop().create_future()
        self._told = False
        self._beating: asyncio.Task[None] | None = None

    @property
    def why(self) -> str:
        """How it ended; empty while it goes on."""
        return str(self._ended.result()) if self._ended.done() else ""

    async def send(self, messages: Sequence[Message], place: Place) -> None:
        """Post messages; waits until the other side has taken them."""
        async with self._sending:
            for data in write_envelopes(self._posted, messages, place, extra=self._extra):
                await self._post(data)
                self._posted += 1
                self._extra.clear()
            self._place = Place(place.first + len(messages), place.received)
        if self._beating is None and not self._ended.done():
            self._beating = spawn(self._keep_beating(), name="asyncbridge-beat")

    async def take(self, envelope: Envelope) -> None:
        """Take what the other side has posted; waits while too much of it is unread.

        Raises:
            DecodeError: One before it is missing.
        """
        if envelope.end:
            self._told = True
            self._end(ChannelClosed(f"the other side ended the connection: {envelope.end}"))
            return
        async with self._taking:
            if envelope.number < self._taken or self._ended.done():
                return
            if envelope.number > self._taken:
                raise DecodeError(f"envelope {envelope.number} came where {self._taken} is next")
            self._taken += 1
            self._inbox.append((list(envelope.messages), envelope.place))
            self._ready.set()
            while len(self._inbox) >= INBOX and not self._ended.done():
                self._room.clear()
                await self._room.wait()

    def spoil(self, error: DecodeError) -> None:
        """End: the other side has posted what is no envelope."""
        self._end(error)

    async def receive(self) -> tuple[list[Message], Place]:
        """Return the next envelope's messages, and its place."""
        while not self._inbox:
            if self._ended.done():
                raise self._ended.result()
            self._ready.clear()
            await self._ready.wait()
        self._room.set()
        return self._inbox.popleft()

    async def close(self) -> None:
        """End, and tell the other side."""
        told, self._told = self._told, True
        self._end(ChannelClosed("the connection was closed"))
        if told or not (self._posted or self._taken):
            return
        with contextlib.suppress(PostFailed, TimeoutError):
            async with asyncio.timeout(END_S):
                (data,) = write_envelopes(
                    self._posted, (), self._place, extra={"end": "it was closed"}
                )
                await self._poster.post_once(data)

    # --- inner steps ---

    async def _post(self, data: bytes) -> None:
        """Post one envelope, unless the wire ends meanwhile."""
        if self._ended.done():
            raise ChannelClosed(str(self._ended.result()))
        posting = spawn(self._poster.post(data), name="asyncbridge-post", on_error=lambda _: None)
        both: set[asyncio.Future[Any]] = {posting, self._ended}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if not posting.done():
                raise ChannelClosed(str(self._ended.result()))
            posting.result()
        except PostFailed as error:
            self._told = True
            self._end(error)
            raise
        except asyncio.CancelledError:
            # Whether it was taken, nobody knows: another wire brings it again.
            self._end(ChannelClosed("a write was broken off"))
            raise
        finally:
            posting.cancel()

    async def _keep_beating(self) -> None:
        before = self._posted
        while not self._ended.done():
            await asyncio.sleep(self._beat)
            if before == self._posted:
                with contextlib.suppress(ChannelClosed):  # the reader is told
                    await self.send((), self._place)
            before = self._posted

    def _end(self, error: AsyncBridgeError) -> None:
        if not self._ended.done():
            self._ended.set_result(error)
        self._ready.set()
        self._room.set()
        if self._beating is not None and self._beating is not asyncio.current_task():
            self._beating.cancel()
