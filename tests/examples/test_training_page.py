"""The page of the web service, as a browser shows it."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from matplotlib.image import imread

from examples import web_app
from tests.examples.browser import PROGRAM, Page, browser_page

Client = TestClient[web.Request, web.Application]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.tensorflow,
    pytest.mark.asyncio,
    pytest.mark.skipif(
        PROGRAM is None, reason="no Chromium here: apt-get install chromium (.ci/run does)"
    ),
]

EPOCHS = 12
RECORD = """
window.counts = {loss: [], val_loss: []};
for (const [name, seen] of Object.entries(window.counts))
  new MutationObserver(() => {
    seen.push(document.getElementById(name).points.length);
  }).observe(document.getElementById(name), {attributes: true, attributeFilter: ["points"]});
"""
SUBMIT = """
document.getElementById("epochs").value = "EPOCHS";
document.getElementById("form").requestSubmit();
"""
PROBLEM = "document.getElementById('problem').textContent"
STATE = "document.getElementById('state').textContent"
HEIGHTS = "Array.from(document.getElementById('loss').points, point => point.y)"


def pixels_of_curves(picture: Path) -> tuple[int, int]:
    """Count the pixels that have the colours of the two curves."""
    pixels = (imread(picture)[..., :3] * 255).round().astype(int)
    blue, orange = (
        int((pixels == colour).all(axis=-1).sum())
        for colour in ((0x1F, 0x6F, 0xEB), (0xD9, 0x73, 0x0D))
    )
    return blue, orange


async def submit(page: Page, epochs: int) -> None:
    """Start a training by the page's own button."""
    await page.evaluate(SUBMIT.replace("EPOCHS", str(epochs)))


@pytest_asyncio.fixture
async def client() -> AsyncIterator[Client]:
    """Run the service."""
    async with TestClient(TestServer(web_app.make_app())) as opened:
        yield opened


@pytest_asyncio.fixture
async def page(client: Client, tmp_path: Path) -> AsyncIterator[Page]:
    """Open the service's page in a browser."""
    async with browser_page(tmp_path / "profile") as opened:
        await opened.goto(str(client.make_url("/")))
        await opened.when(f"{STATE} === 'waiting for a training'")
        yield opened


async def test_the_curve_grows_while_it_trains(page: Page, tmp_path: Path) -> None:
    """Each epoch adds a point to both curves; the loss falls, and the end is told."""
    await page.evaluate(RECORD)
    await submit(page, EPOCHS)
    state = await page.when(f"{STATE}.startsWith('finished') && {STATE}")
    counts = await page.evaluate("window.counts")
    assert sorted(set(counts["loss"])) == list(range(EPOCHS + 1))
    assert counts["loss"] == sorted(counts["loss"])
    assert counts["val_loss"] == counts["loss"]
    heights = await page.evaluate(HEIGHTS)
    assert heights[-1] > heights[0]  # lower, for y goes down on a screen
    assert await page.evaluate("document.getElementById('done').value") == 1
    assert state.startswith(f"finished after {EPOCHS} epochs: val_loss ")

    picture = tmp_path / "page.png"
    await page.screenshot(picture)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert min(pixels_of_curves(picture)) > 100


async def test_what_goes_wrong_is_on_the_page(client: Client, page: Page) -> None:
    """A second training is refused, a killed worker ends the first, and the next one goes on."""
    await submit(page, 1000)
    await page.when(f"{STATE}.startsWith('epoch ')")
    await submit(page, 1)
    refusal = await page.when(f"{PROBLEM}.endsWith(' runs') && {PROBLEM}")
    assert refusal.startswith("training ")
    async with client.get("/health") as response:
        os.kill((await response.json())["worker"]["pid"], signal.SIGKILL)
    state = await page.when(f"{STATE}.includes(' failed: ') && {STATE}")
    assert "WorkerLost: " in state
    assert "SIGKILL" in state
    await submit(page, 1)
    await page.when(f"{STATE}.startsWith('finished after 1 epochs')")
    assert await page.evaluate(PROBLEM) == ""
