"""Code that has not been sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from asyncbridge.errors import BridgeClosed, CodegenError
from asyncbridge.promise import Promise
from asyncbridge.protocol.keeping import ALONE
from asyncbridge.references import Binding, Ref

if TYPE_CHECKING:
    from tests.references.conftest import Home

pytestmark = pytest.mark.asyncio


async def test_ways_to_send_it(home: Home) -> None:
    """A promise, a chain, a reference: each sends the code once, and again the next time."""
    length = home.reference([1, 2]).attr("__len__")()
    promise = length.promise()
    assert isinstance(promise, Promise)
    assert await promise == 2
    assert await length.then(lambda value: value + 1) == 3
    kept = await length.keep()
    assert isinstance(kept, Ref)
    assert await kept.value() == 2
    assert [each.keep for each in home.sent] == [False, False, True, False]
    assert home.codes[:3] == ["ref.__len__()"] * 3


async def test_it_is_sent_ahead_for_others(home: Home) -> None:
    """Its value stays there for the commands behind, and its failure is theirs to tell."""
    expression = home.reference(SimpleNamespace(x=1)).missing
    promise = expression._sent_ahead()
    assert promise.done()
    assert home.sent[0].alone == ALONE
    assert isinstance(promise.exception(), AttributeError)


async def test_what_it_says(home: Home) -> None:
    """It is told as a reader would write it, with what to do about it."""
    model = home.reference(SimpleNamespace())
    assert (
        repr(model.layers[0].units)
        == "<RemoteExpression SimpleNamespace.layers[0].units: await it>"
    )
    shown = model.fit("y" * 40, x=list(range(100)), k=(1, slice(2)))
    assert repr(shown).startswith(
        "<RemoteExpression SimpleNamespace.fit('yyyyyyyyyyyyyyyyyyyy..., x=<l"
    )
    assert home.sent == []


async def test_it_lives_as_long_as_its_owner_can() -> None:
    """Code on a binding without a bridge can be built, not sent."""
    built = Binding("x", "eternal").size
    assert repr(built) == "<RemoteExpression x.size: await it>"
    with pytest.raises(BridgeClosed, match="its bridge is gone, or it was made without one"):
        await built


async def test_too_many_steps(home: Home) -> None:
    """It is refused with what to do; nothing is sent."""
    for steps in (150, 2_000):
        expression: Any = home.reference("a")
        for _ in range(steps):
            expression = expression.strip()
        with pytest.raises(CodegenError, match=r"keep\(\)"):
            await expression
    assert home.sent == []
