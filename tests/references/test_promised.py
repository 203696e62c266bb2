"""The value that a promise will have."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncbridge.errors import BridgeClosed
from asyncbridge.promise import Promise
from asyncbridge.references import PromisedValue
from tests.references.conftest import Home


@pytest.mark.asyncio
async def test_code_on_it(home: Home) -> None:
    """The promise is a binding of the command, so its value need never come here."""
    promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
    promise.set_result({"a": [1, 2]})
    value = PromisedValue(promise, "load()", lambda: home)
    assert await value["a"][0] == 1
    assert home.codes == ["value['a'][0]"]
    assert home.sent[0].bindings == [promise]
    assert home.sent[0].name == "load()['a'][0]"
    assert repr(value) == "<PromisedValue of load()>"


@pytest.mark.asyncio
async def test_its_bridge_is_gone() -> None:
    """The error says of which command."""
    promise: Promise[Any] = Promise(loop=asyncio.get_running_loop())
    promise.set_result(None)
    with pytest.raises(BridgeClosed, match=r"load\(\): its bridge is gone"):
        await PromisedValue(promise, "load()", lambda: None)[0]
