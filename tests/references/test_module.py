"""Modules of the worker's Python."""

from __future__ import annotations

import math

import pytest

from asyncbridge.errors import BridgeClosed
from asyncbridge.references import RemoteModule
from tests.references.conftest import Home


@pytest.mark.asyncio
async def test_it_is_used_as_if_it_were_here(home: Home) -> None:
    """Its functions, its constants, and modules in it, each as one command."""
    maths, path = RemoteModule("math", home), RemoteModule("os.path", home)
    assert home.sent == []
    assert await maths.floor(maths.pi) == 3
    assert await maths.pi == math.pi
    assert await path.basename("a/b") == "b"
    assert home.codes == ["math.floor(math.pi)", "math.pi", "path.basename('a/b')"]
    assert home.sent[0].name == "math.floor(math.pi)"
    assert repr(path) == "<RemoteModule os.path>"


def test_it_keeps_no_bridge_alive() -> None:
    """It is of no use without."""
    home = Home()
    module = RemoteModule("math", home)
    del home._references
    del home
    with pytest.raises(BridgeClosed, match="<RemoteModule math>: its bridge is gone"):
        module._home()
