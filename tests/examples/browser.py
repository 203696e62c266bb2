"""A headless Chromium, driven by its own protocol over a WebSocket: no further dependency."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import shutil
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientWebSocketResponse

PROGRAM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
"""Where Chromium is; None where there is none."""

OPTIONS = (
    "--headless=new",
    "--no-sandbox",  # it refuses to run as root otherwise
    "--remote-debugging-port=0",
    "--disable-gpu",
    "--disable-dev-shm-usage",  # containers have little of it
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    "--password-store=basic",
    "--window-size=900,800",
)

WHEN_TRUE = """
new Promise(resolve => {
  const look = () => {
    const value = (EXPRESSION);
    if (value) { observer.disconnect(); resolve(value); }
  };
  const observer = new MutationObserver(look);
  const all = {subtree: true, childList: true, attributes: true, characterData: true};
  observer.observe(document, all);
  look();
})
"""


class Page:
    """One page of the browser."""

    def __init__(self, socket: ClientWebSocketResponse, session: str) -> None:
        self._socket = socket
        self._session = session
        self._ids = itertools.count(1000)

    async def goto(self, address: str) -> None:
        """Open an address, and wait until it is loaded."""
        await self.call("Page.navigate", url=address)
        await self.when("document.readyState === 'complete'")

    async def evaluate(self, expression: str) -> Any:
        """Return the value of an expression; of a promise, what it is fulfilled with."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def when(self, expression: str) -> Any:
        """Wait until the page changes so that an expression is true; return its value."""
        return await self.evaluate(WHEN_TRUE.replace("EXPRESSION", expression))

    async def screenshot(self, path: Path) -> None:
        """Write a picture of what is to be seen, as PNG."""
        answer = await self.call("Page.captureScreenshot", format="png")
        path.write_bytes(base64.b64decode(answer["data"]))

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the page's target."""
        return await call(
            self._socket, next(self._ids), method, session=self._session, **parameters
        )


async def call(
    socket: ClientWebSocketResponse,
    number: int,
    method: str,
    *,
    session: str | None = None,
    **parameters: Any,
) -> dict[str, Any]:
    """Call a method of the protocol; return its result."""
    of_session = {} if session is None else {"sessionId": session}
    await socket.send_json({"id": number, "method": method, "params": parameters, **of_session})
    while True:
        answer = json.loads(await socket.receive_str())
        if answer.get("id") == number:
            assert "error" not in answer, answer["error"]
            result: dict[str, Any] = answer["result"]
            return result


@contextlib.asynccontextmanager
async def browser_page(folder: Path) -> AsyncGenerator[Page]:
    """Run a browser, with its files in this folder; yield an empty page."""
    assert PROGRAM is not None
    process = await asyncio.create_subprocess_exec(
        PROGRAM, *OPTIONS, f"--user-data-dir={folder}", "about:blank",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stderr is not None
    reading: asyncio.Task[None] | None = None
    try:
        address = await address_of(process.stderr)
        reading = asyncio.create_task(drop(process.stderr))  # noqa: TID251 - it is held, and ended
        async with (
            ClientSession() as session,
            session.ws_connect(address, max_msg_size=0) as socket,
        ):
            target = (await call(socket, 1, "Target.createTarget", url="about:blank"))["targetId"]
            attached = await call(socket, 2, "Target.attachToTarget", targetId=target, flatten=True)
            try:
                yield Page(socket, attached["sessionId"])
            finally:
                await call(socket, 3, "Browser.close")
    finally:
        if process.returncode is None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(10):
                    await process.wait()
        if process.returncode is None:
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


async def address_of(lines: AsyncIterator[bytes]) -> str:
    """Return where the browser wants to be spoken to, as it says among much else."""
    said: list[str] = []
    async for line in lines:
        text = line.decode(errors="replace")
        if text.startswith("DevTools listening on "):
            return text.removeprefix("DevTools listening on ").strip()
        said.append(text)
    raise RuntimeError(f"the browser did not start: {''.join(said)}")


async def drop(lines: AsyncIterator[bytes]) -> None:
    """Read what the browser says, so that it never waits for a reader."""
    async for _ in lines:
        pass
