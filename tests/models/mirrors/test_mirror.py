from __future__ import annotations

import gc
import inspect
import sys
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.client.current import enter, leave
from asyncbridge.errors import BridgeClosed, RemoteError
from asyncbridge.lifetime.binding import Binding
from asyncbridge.models.mirrors import mirror as mechanism
from asyncbridge.models.mirrors.mirror import Mirror, call_function, keras_function

if TYPE_CHECKING:
    from asyncbridge.client import Bridge
    from asyncbridge.promise import Promise
    from tests.models.conftest import RecordingBridge


class Table(keras.Layer):
    """A mirror with an array, another mirror and a method."""

    keras_name = "keras.layers.Table"

    def __init__(self, rows: object, inner: Mirror | None = None, name: str | None = None) -> None:
        self._describe(locals())

    def look(self, key: int, other: Mirror | None = None) -> Promise[object]:
        return self._call(Table.look, locals())


@keras_function("keras.ops.shape")
def shape(x: object) -> Promise[object]:
    """A mirrored function."""
    return call_function(shape, locals())


@pytest.fixture
def no_bridge() -> None:
    """No bridge is open in this process, whatever other tests left."""
    gc.collect()
    assert mechanism._current_bridge() is None


# --- a description ---


@pytest.mark.usefixtures("no_bridge")
def test_a_mirror_is_a_description_without_a_bridge() -> None:
    """It is made, printed and compared with nothing open."""
    dense = keras.layers.Dense(16, activation="sigmoid")
    assert repr(dense) == "<Dense units=16 activation='sigmoid'>"
    assert dense.bridge is None
    assert dense.arguments["units"] == 16
    assert dense.arguments["bias_initializer"] == "zeros"


def test_mirrors_are_equal_by_class_and_arguments() -> None:
    """Arguments count, defaults included, however they were given; the object does not."""
    assert keras.layers.Dense(16) == keras.layers.Dense(units=16, use_bias=True)
    assert keras.layers.Dense(16) != keras.layers.Dense(17)
    assert keras.metrics.Accuracy("a") != keras.metrics.CategoricalAccuracy("a")
    assert keras.layers.Dense(16) != 16
    assert Table(np.arange(3)) == Table(np.arange(3))
    assert Table(np.arange(3)) != Table(np.arange(4))
    assert Table([1], Table([2])) == Table([1], Table([2]))
    assert Table([1], Table([2])) != Table([1], Table([3]))


def test_equal_mirrors_have_equal_hashes() -> None:
    """They may stand in sets and as keys, arrays and all."""
    assert len({Table(np.arange(3)), Table(np.arange(3)), Table(np.arange(4))}) == 2


def test_the_constructors_signature_is_keras_own() -> None:
    """A name that Keras has not, or a missing argument, is Python's TypeError at the caller."""
    with pytest.raises(TypeError, match="unexpected keyword argument 'unit'") as caught:
        keras.layers.Dense(unit=3)  # type: ignore[call-arg]  # what is tested
    assert Path(str(caught.traceback[-1].path)) == Path(__file__)
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'units'"):
        keras.layers.Dense()  # type: ignore[call-arg]  # as above


def test_a_wrong_type_is_refused_at_the_call() -> None:
    """The error names class, parameter, expected and got."""
    with pytest.raises(TypeError, match=r"Dense\(\) argument 'units' must be int, not str: '3'"):
        keras.layers.Dense("3")  # type: ignore[arg-type]  # what is tested


def test_a_value_without_wire_form_is_refused_at_the_call() -> None:
    """Nothing that could never be sent becomes part of a description."""
    with pytest.raises(TypeError, match=r"Table\(\) argument 'rows'.*type object has no wire form"):
        Table([object()])


def test_arguments_are_kept_as_they_were() -> None:
    """What the caller does to his list or array later does not show."""
    rows = np.zeros(2)
    table = Table(rows)
    rows[0] = 1
    assert table == Table(np.zeros(2))


def test_attributes_cannot_be_set() -> None:
    """Setting one would not reach the worker: the error says what would."""
    with pytest.raises(AttributeError, match=r"Dense\.trainable.*pass it to the constructor"):
        keras.layers.Dense(1).trainable = False  # type: ignore[attr-defined]  # what is tested


def test_a_base_class_is_not_made() -> None:
    """What has no constructor of Keras's is for isinstance and annotations."""
    with pytest.raises(TypeError, match="Layer is a base class"):
        keras.Layer()


@pytest.mark.usefixtures("no_bridge")
def test_a_call_without_any_bridge_says_what_to_do() -> None:
    """It is a BridgeClosed at the call, and nothing else happens."""
    with pytest.raises(BridgeClosed, match=r"Table\.look\(\) needs an open bridge"):
        Table([1]).look(3)
    with pytest.raises(BridgeClosed, match=r"keras\.ops\.shape\(\) needs an open bridge"):
        shape([1])


# --- in the worker ---


@pytest.mark.asyncio
async def test_with_a_current_bridge_it_is_made_at_once(bridge: RecordingBridge) -> None:
    """One command makes it; only what differs from the defaults is said."""
    dense = keras.layers.Dense(units=16, activation="sigmoid", use_bias=True)
    assert bridge.code() == ["import keras\ndense_1 = keras.layers.Dense(16, activation='sigmoid')"]
    assert bridge.sent[0].bindings == {}
    assert bridge.sent[0].label == "keras.layers.Dense"
    assert dense.bridge is cast("object", bridge)


@pytest.mark.asyncio
async def test_arrays_travel_as_bindings(bridge: RecordingBridge) -> None:
    """The code names them, the values go beside it."""
    Table(np.arange(3))
    assert bridge.code() == ["import keras\ntable_1 = keras.layers.Table(rows_1)"]
    (value,) = bridge.sent[0].bindings.values()
    assert np.array_equal(cast("list[int]", value), [0, 1, 2])


@pytest.mark.asyncio
async def test_other_mirrors_go_by_their_names(bridge: RecordingBridge) -> None:
    """A mirror inside another's arguments is made first and named there."""
    Table([Table([1])], Table([2]))
    assert bridge.code(2) == [
        "import keras\ntable_3 = keras.layers.Table([table_1], inner=table_2)"
    ]


@pytest.mark.asyncio
async def test_names_are_long_and_random(bridge: RecordingBridge) -> None:
    """Two equal mirrors are two objects, under names of the class and 25 random letters."""
    keras.layers.Dense(1)
    keras.layers.Dense(1)
    first, second = (item.code.split()[2] for item in bridge.sent)
    assert first != second
    assert first.startswith("dense_")
    assert len(first) == len("dense_") + 25


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_descriptions_are_made_in_the_order_of_their_making(
    other_bridge: RecordingBridge,
) -> None:
    """Keras draws seeds in constructors, so the order here is the order there."""
    last, first = Table([2]), Table([1])  # what is described first is made first
    outer = Table([first, last])
    token = enter(cast("Bridge", other_bridge))
    outer.look(1)
    leave(cast("Bridge", other_bridge), token)
    assert other_bridge.code() == [
        "import keras\ntable_1 = keras.layers.Table([2])",
        "import keras\ntable_2 = keras.layers.Table([1])",
        "import keras\ntable_3 = keras.layers.Table([table_2, table_1])",
        "table_3.look(1)",
    ]


@pytest.mark.asyncio
async def test_a_description_is_made_once(bridge: RecordingBridge) -> None:
    """A mirror that is used again is named again, not made again."""
    inner = Table([1])
    Table([2], inner)
    Table([3], inner)
    assert sum("Table([1])" in code for code in bridge.code()) == 1


@pytest.mark.asyncio
async def test_a_mirror_keeps_its_bridge(bridge: RecordingBridge) -> None:
    """It is called through its own bridge where no bridge is current, and brings others there."""
    table = Table([1])
    token = enter(cast("Bridge", bridge))
    leave(cast("Bridge", bridge), token)
    assert mechanism._current_bridge() is None
    pending = Table([2])
    assert pending.bridge is None
    table.look(3, pending)
    assert pending.bridge is table.bridge
    assert bridge.code(1) == [
        "import keras\ntable_2 = keras.layers.Table([2])",
        "table_1.look(3, other=table_2)",
    ]
    made_of = Table([4], table)
    assert made_of.bridge is table.bridge


@pytest.mark.asyncio
async def test_another_bridge_is_refused(
    bridge: RecordingBridge, other_bridge: RecordingBridge
) -> None:
    """The ValueError names the mirror and both bridges, and nothing is sent."""
    here = Table([1])
    token = enter(cast("Bridge", other_bridge))
    there = Table([2])
    leave(cast("Bridge", other_bridge), token)
    with pytest.raises(ValueError, match=r"<Table rows=.*> belongs to <Bridge .*be used with"):
        here.look(1, there)
    assert (len(bridge.sent), len(other_bridge.sent)) == (1, 1)


@pytest.mark.asyncio
async def test_a_method_has_keras_own_signature(bridge: RecordingBridge) -> None:
    """Wrong arguments are TypeErrors at the call; nothing is sent for them."""
    table = Table([1])
    with pytest.raises(TypeError, match=r"Table\.look\(\) argument 'key' must be int, not str"):
        table.look("a")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'key'"):
        table.look()  # type: ignore[call-arg]  # as above
    assert len(bridge.sent) == 1


@pytest.mark.asyncio
async def test_a_function_is_called_by_its_full_name(bridge: RecordingBridge) -> None:
    """The code imports Keras; arrays are bound, mirrors and bindings named."""
    shape(Table([1]))
    shape(Binding("mine", "eternal"))
    promise = shape(np.zeros(3))
    assert bridge.code(1) == [
        "import keras\nkeras.ops.shape(table_1)",
        "import keras\nkeras.ops.shape(mine)",
        "import keras\nkeras.ops.shape(x_1)",
    ]
    await bridge.work(value=(3,))
    assert await promise == (3,)


@pytest.mark.asyncio
async def test_keras_own_names_may_be_arguments(bridge: RecordingBridge) -> None:
    """A mirrored class or function stands for Keras's own."""
    keras.layers.Activation(shape)
    assert bridge.code() == [
        "import keras\nactivation_1 = keras.layers.Activation(keras.ops.shape)"
    ]


# --- life and death ---


@pytest.mark.asyncio
async def test_a_name_is_released_with_its_mirror(bridge: RecordingBridge) -> None:
    """Once the commands that name it are done, the client's object alone holds the name."""
    table = Table([1])
    name = bridge.name_of("keras.layers.Table")
    promise = table.look(1)
    await bridge.work()
    del table
    await promise
    bridge.forget()
    del promise
    gc.collect()
    assert bridge.released == [name]


@pytest.mark.asyncio
async def test_a_command_keeps_alive_what_it_names(bridge: RecordingBridge) -> None:
    """An argument that nobody else holds lives until the command is settled."""
    table = Table([1])
    inner = Table([2])
    seen = weakref.ref(inner)
    table.look(1, inner)
    del inner
    gc.collect()
    assert seen() is not None
    await bridge.work()
    bridge.forget()
    gc.collect()
    assert seen() is None


@pytest.mark.asyncio
async def test_a_kept_promise_keeps_no_mirror(bridge: RecordingBridge) -> None:
    """Who holds results, or errors, does not hold the objects in the worker."""
    promises = [Table([2], Table([1])).look(1), Table([3]).look(1)]
    await bridge.work({"Table.look": RemoteError("ValueError", "no")})
    gc.collect()
    assert len(bridge.released) == 3
    assert [promise.exception() is not None for promise in promises] == [True, True]


@pytest.mark.asyncio
async def test_a_failed_send_leaves_a_description(bridge: RecordingBridge) -> None:
    """When the bridge refuses a command, the mirror is not thought to be in the worker."""
    token = enter(cast("Bridge", bridge))
    leave(cast("Bridge", bridge), token)
    table = Table([1])
    original, bridge.send = bridge.send, _refuse  # type: ignore[method-assign, assignment]  # put back below
    token = enter(cast("Bridge", bridge))
    with pytest.raises(BridgeClosed):
        table.look(1)
    assert table.bridge is None
    bridge.send = original  # type: ignore[method-assign]  # as above
    table.look(1)
    assert len(bridge.sent) == 2


def _refuse(*args: object, **kwargs: object) -> object:
    raise BridgeClosed("closed")


# --- notes ---


@pytest.mark.asyncio
async def test_an_error_tells_where_its_mirror_was_made(bridge: RecordingBridge) -> None:
    """The names that the worker reports are turned into the lines that made them."""
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
    inner = Table([1])
    outer = Table([2], inner)
    name = bridge.name_of("keras.layers.Table")
    promise = outer.look(1)
    await bridge.work({"Table.look": RemoteError("ValueError", "no", subjects=(name, "other"))})
    with pytest.raises(RemoteError) as caught:
        await promise
    site = f"{__file__}:{line}, in {sys._getframe().f_code.co_name}"
    assert caught.value.__notes__ == [f"keras.layers.Table([1]) was made at {site}"]


@pytest.mark.asyncio
async def test_without_subjects_the_note_is_the_mirrors_own(bridge: RecordingBridge) -> None:
    """An error that names no object is about the one that was called."""
    promise = Table([2], Table([1])).look(1)
    await bridge.work({"Table.look": RemoteError("ValueError", "no")})
    with pytest.raises(RemoteError) as caught:
        await promise
    (note,) = caught.value.__notes__
    assert note.startswith("keras.layers.Table([2], inner=<Table rows=[1]>) was made at ")


@pytest.mark.asyncio
async def test_a_functions_error_has_no_note_of_its_own(bridge: RecordingBridge) -> None:
    """Nothing was made; only the arguments that the worker names are told."""
    promise = shape(Table([1]))
    await bridge.work({"keras.ops.shape": RemoteError("ValueError", "no")})
    with pytest.raises(RemoteError) as caught:
        await promise
    assert not hasattr(caught.value, "__notes__")
