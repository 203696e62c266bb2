from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, RemoteError
from asyncbridge.models.mirrors.plotting import plot_model

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

PNG = b"\x89PNG picture"


@pytest.mark.asyncio
async def test_the_picture_is_written_here(bridge: RecordingBridge, tmp_path: Path) -> None:
    """The worker draws it; the promise gets the path, once the file is there."""
    assert keras.utils.plot_model is plot_model
    model = keras.Sequential()
    promise = plot_model(model, tmp_path / "model.png", show_shapes=True, dpi=96)
    assert bridge.said(1) == ["worker_models.plot(sequential_1, show_shapes=True, dpi=96)"]
    assert bridge.sent[-1].label == "keras.utils.plot_model"
    await bridge.work(value=PNG)
    assert await promise == tmp_path / "model.png"
    assert (tmp_path / "model.png").read_bytes() == PNG


@pytest.mark.asyncio
async def test_without_a_file_the_bytes_come(bridge: RecordingBridge) -> None:
    """For a notebook, say."""
    promise = plot_model(keras.Sequential(), None)
    assert bridge.said(1) == ["worker_models.plot(sequential_1)"]
    await bridge.work(value=PNG)
    assert await promise == PNG


@pytest.mark.asyncio
async def test_a_failure_is_the_models(bridge: RecordingBridge, tmp_path: Path) -> None:
    """It names the line that made it, and writes nothing."""
    model = keras.Sequential()
    promise = plot_model(model, tmp_path / "model.png")
    await bridge.work({"keras.utils.plot_model": RemoteError("ImportError", "no pydot")})
    with pytest.raises(RemoteError, match="no pydot") as caught:
        await promise
    assert caught.value.__notes__ == [model._origin.note()]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("no_bridge")
def test_mistakes_are_told_at_the_call() -> None:
    """Types are checked, and it takes a bridge."""
    model = keras.Sequential()
    with pytest.raises(TypeError, match=r"^plot_model\(\) argument 'dpi' must be int, not str"):
        plot_model(model, dpi="96")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(BridgeClosed, match=r"^keras\.utils\.plot_model\(\) needs an open bridge"):
        plot_model(model)
