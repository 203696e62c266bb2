from __future__ import annotations

import gc
import sys
import weakref
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, RemoteError
from asyncbridge.models.mirrors.arguments import Arguments
from asyncbridge.models.mirrors.bodies import as_it_is, nothing, plain
from asyncbridge.models.mirrors.recipes import called, sent_to
from asyncbridge.models.mirrors.sending import bridge_of, bring, current_bridge, request, settle
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from asyncbridge.client import Bridge
    from asyncbridge.models.mirrors.recipes import Recipe
    from tests.models.conftest import RecordingBridge


def relu(x: object) -> Recipe:
    """Return the recipe of a function's call."""
    return called("keras.ops.relu", Arguments(leading={"x": x}, named={}))


def fault() -> RemoteError:
    """Return what the worker raises."""
    return RemoteError("ValueError", "no")


# --- which bridge ---


def test_without_the_client_there_is_no_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it was never imported none can be open: to ask loads nothing."""
    monkeypatch.delitem(sys.modules, "asyncbridge.client")
    assert current_bridge() is None
    assert "asyncbridge.client" not in sys.modules


@pytest.mark.asyncio
async def test_a_mirrors_own_bridge_comes_before_the_current(
    bridge: RecordingBridge, other_bridge: RecordingBridge
) -> None:
    """Only where none of the mirrors has one, it is the current bridge."""
    here = keras.layers.Dense(1)
    with other_bridge.current():
        assert bridge_of([here]) is cast("Bridge", bridge)
        assert bridge_of([]) is current_bridge() is cast("Bridge", other_bridge)


@pytest.mark.usefixtures("no_bridge")
def test_without_a_bridge_the_error_says_what_to_do() -> None:
    """It names the call, and both ways to have a bridge."""
    with pytest.raises(BridgeClosed, match=r"keras\.f\(\) needs an open bridge: call it within"):
        settle([keras.layers.Dense(1)], "keras.f()")


# --- making ---


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_descriptions_are_made_in_order(other_bridge: RecordingBridge) -> None:
    """Keras draws seeds in constructors, so the order here is the order there."""
    first = keras.layers.Dense(1)
    second = keras.layers.Dense(2)
    with other_bridge.current():
        near, bridge = settle([[second], {"a": first}], "f()")
    assert bridge is cast("Bridge", other_bridge)
    assert [id(one) for one in near] == [id(first), id(second)]
    assert other_bridge.said() == [
        "dense_1 = keras.layers.Dense(1)",
        "dense_2 = keras.layers.Dense(2)",
    ]


@pytest.mark.asyncio
async def test_a_creation_as_code(bridge: RecordingBridge) -> None:
    """It imports what it needs, makes the object, and tells facts of it."""
    keras.layers.Dense(1)
    assert bridge.code() == [
        (
            "import keras\n"
            "from asyncbridge.worker import models as worker_models\n"
            "dense_1 = keras.layers.Dense(1)\n"
            "worker_models.state(dense_1)"
        )
    ]
    assert bridge.sent[0].label == "keras.layers.Dense"
    assert bridge.sent[0].bindings == {}


@pytest.mark.asyncio
async def test_what_has_no_facts_is_made_alone(bridge: RecordingBridge) -> None:
    """Of a loss there is nothing to tell."""
    keras.losses.MeanSquaredError()
    assert bridge.code() == ["import keras\nmeansquarederror_1 = keras.losses.MeanSquaredError()"]


@pytest.mark.asyncio
async def test_names_are_long_and_random(bridge: RecordingBridge) -> None:
    """Two equal mirrors are two objects, under names of the class and 25 random letters."""
    first, second = keras.layers.Dense(1), keras.layers.Dense(1)
    assert first._name != second._name
    for name in (first._name, second._name):
        assert name is not None
        assert name.startswith("dense_")
        assert len(name) == len("dense_") + 25


@pytest.mark.asyncio
async def test_a_name_is_told_by_what_it_stands_for(bridge: RecordingBridge) -> None:
    """The call that made it, and its line."""
    keras.layers.Dense(1)
    ((_, about),) = bridge.about.items()
    assert about is not None
    assert about().startswith(f"keras.layers.Dense(1) (made at {__file__}:")


@pytest.mark.asyncio
async def test_a_description_is_made_once(bridge: RecordingBridge) -> None:
    """What is in the worker is left alone."""
    dense = keras.layers.Dense(1)
    bring([dense], cast("Bridge", bridge))
    assert len(bridge.sent) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("turned", [False, True])
async def test_another_bridge_is_refused(
    bridge: RecordingBridge, other_bridge: RecordingBridge, turned: bool
) -> None:
    """The ValueError names the one that is not of the present bridge, and its line."""
    here = keras.layers.Dense(1)
    with other_bridge.current():
        there = keras.Input((4,))
    pending = keras.losses.Hinge.__new__(keras.losses.Hinge)
    pending._set_up(relu(0))
    with pytest.raises(ValueError, match="make another one there") as caught:
        settle([pending, *([there, here] if turned else [here, there])], "f()")
    assert str(caught.value) == (
        "<KerasTensor> belongs to <Bridge other>, and <Dense units=1> to another bridge, "
        f"<Bridge recording>: make another one there ({there._origin.note()})"
    )
    assert (len(bridge.sent), len(other_bridge.sent)) == (1, 1)
    assert pending._bridge is None


@pytest.mark.asyncio
async def test_a_refused_creation_leaves_a_description(
    bridge: RecordingBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the bridge takes no command, the mirror is not thought to be in the worker."""

    def refuse(*args: object, **kwargs: object) -> object:
        raise BridgeClosed("closed")

    dense = keras.layers.Dense.__new__(keras.layers.Dense)
    dense._set_up(relu(0))
    with monkeypatch.context() as patch:
        patch.setattr(bridge, "send", refuse)
        with pytest.raises(BridgeClosed):
            settle([dense], "f()")
    assert (dense._bridge, dense._name, dense._ledger.creation) == (None, None, None)
    settle([dense], "f()")
    assert dense._name is not None


# --- requests ---


@pytest.mark.asyncio
async def test_a_request_as_code(bridge: RecordingBridge) -> None:
    """Small values stand in it, arrays are bound, mirrors and bindings named."""
    dense = keras.layers.Dense(1)
    value = np.zeros(3)
    request(relu([dense, Binding("mine", "eternal"), value, 1]), as_it_is)
    assert bridge.said(1) == ["keras.ops.relu([dense_1, mine, x_1, 1])"]
    assert list(bridge.sent[-1].bindings.values()) == [value]
    assert bridge.sent[-1].label == "keras.ops.relu"


@pytest.mark.asyncio
async def test_facts_come_with_the_value(bridge: RecordingBridge) -> None:
    """They are taken before the transform sees the value, and are not part of it."""
    dense = keras.layers.Dense(1)
    seen: list[object] = []

    def transform(raw: object) -> object:
        seen.append(dict(dense._facts))
        return [raw]

    promise = request(
        sent_to(dense, "go", Arguments(leading={}, named={})),
        plain,
        transform=transform,
        watched=[dense],
    )
    assert bridge.said(1) == ["(worker_models.plain(dense_1.go()), worker_models.state(dense_1))"]
    bridge.tell(dense_1={"built": True})
    await bridge.work(value=3)
    assert await promise == [3]
    assert seen == [{"built": True}]
    silent = request(relu(1), nothing, watched=[dense])
    await bridge.work(value=None)
    assert await silent is None


@pytest.mark.asyncio
async def test_an_owner_remembers_the_call(bridge: RecordingBridge) -> None:
    """Its later calls depend on this one; without an owner nobody's do."""
    dense = keras.layers.Dense(1)
    await bridge.work()
    request(relu(dense), plain)
    request(relu(dense), plain, owner=dense)
    request(relu(dense), plain)
    after = [[promise.command_id for promise in item.after] for item in bridge.sent[2:]]
    assert after == [[], [3]]


@pytest.mark.asyncio
async def test_failed_causes_are_named_alone(bridge: RecordingBridge) -> None:
    """Of what a call depends on, one failure is enough for the worker to refuse it."""
    bad, good = keras.layers.Dense(-1), keras.losses.MeanSquaredError()
    bridge.sent[0].promise.set_exception(fault())
    request(relu([good, bad]), plain)
    assert [promise.command_id for promise in bridge.sent[-1].after] == [1]
    assert bridge.sent[0].promise.exception() is not None


@pytest.mark.asyncio
async def test_a_worker_without_keras_is_refused(bridge: RecordingBridge) -> None:
    """At the line that needs it; nothing is sent."""
    dense = keras.layers.Dense(1)
    bridge.has_keras = False
    for use in (lambda: keras.layers.Dense(2), lambda: request(relu(dense), plain)):
        with pytest.raises(ValueError, match="a worker without Keras: open one with a backend"):
            use()
    assert len(bridge.sent) == 1


# --- life and death ---


@pytest.mark.asyncio
async def test_a_command_keeps_alive_what_it_names(bridge: RecordingBridge) -> None:
    """An argument that nobody else holds lives until the command is settled: bindings, too."""
    inner, mine = keras.layers.Dense(1), Binding("mine", "collected")
    refs: list[weakref.ref[Any]] = [weakref.ref(inner), weakref.ref(mine)]
    request(relu([inner, mine]), plain)
    del inner, mine
    gc.collect()
    assert all(ref() is not None for ref in refs)
    await bridge.work()
    bridge.forget()
    gc.collect()
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.asyncio
async def test_a_creation_keeps_alive_what_it_makes(bridge: RecordingBridge) -> None:
    """A name is not released before it is there, though nobody wants it any more."""
    keras.losses.Hinge()
    gc.collect()
    assert bridge.released == []
    await bridge.work()
    bridge.forget()
    assert len(bridge.released) == 1


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_a_settled_creation_keeps_nothing(bridge: RecordingBridge, fails: bool) -> None:
    """The name goes at once with the mirror, though facts were asked and nobody saw the fault."""
    reports: list[Any] = []
    bridge._loop.set_exception_handler(lambda _, context: reports.append(context))
    dense = keras.layers.Dense(1)
    name = dense._name
    await bridge.work({"keras.layers.Dense": fault()} if fails else None)
    bridge.forget()
    del dense
    assert bridge.released == [name]
    gc.collect()
    assert len(reports) == fails


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_a_kept_promise_keeps_no_mirror(bridge: RecordingBridge, fails: bool) -> None:
    """Who holds a result or an error does not hold the objects, not even for a transform."""
    dense = keras.layers.Dense(1)
    promise = request(
        relu(dense),
        plain,
        owner=dense,
        transform=partial(_first, dense),
        watched=[dense],
    )
    seen = weakref.ref(dense)
    await bridge.work({"keras.ops.relu": fault()} if fails else None, value=1)
    bridge.forget()
    del dense
    assert seen() is None
    assert (promise.exception() is not None) is fails


def _first(held: object, raw: object) -> object:
    return raw


# --- notes ---


@pytest.mark.asyncio
async def test_an_error_tells_where_its_subjects_were_made(bridge: RecordingBridge) -> None:
    """Those are found in what the named mirrors are made of, too; unknown names are left."""
    inner = keras.layers.Dense(1)
    outer = keras.layers.TimeDistributed(inner)
    assert inner._name is not None
    promise = request(relu(outer), plain)
    error = RemoteError("ValueError", "no", subjects=(inner._name, "other"))
    await bridge.work({"keras.ops.relu": error})
    with pytest.raises(RemoteError) as caught:
        await promise
    assert caught.value.__notes__ == [inner._origin.note()]


@pytest.mark.asyncio
async def test_without_a_subject_the_origin_is_told(bridge: RecordingBridge) -> None:
    """An error that names no object is about the one that was called; a function has none."""
    dense = keras.layers.Dense(1)
    function = request(relu(dense), plain)
    method = request(sent_to(dense, "go", Arguments(leading={}, named={})), plain, owner=dense)
    await bridge.work({"Dense.go": fault(), "keras.ops.relu": fault()})
    with pytest.raises(RemoteError) as caught:
        await method
    assert caught.value.__notes__ == [dense._origin.note()]
    with pytest.raises(RemoteError) as caught:
        await function
    assert not hasattr(caught.value, "__notes__")
