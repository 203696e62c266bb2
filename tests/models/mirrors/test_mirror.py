from __future__ import annotations

import copy
import gc
import inspect
import pkgutil
import sys
import weakref
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

import asyncbridge.models.mirrors
from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, DependencyError, RemoteError
from asyncbridge.models.mirrors.arguments import parameters_of
from asyncbridge.models.mirrors.mirror import Attribute, Mirror, take_call
from asyncbridge.promise import Promise
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


class Table(Mirror):
    """A mirror with an array, another mirror and a method."""

    keras_name = "keras.layers.Table"

    def __init__(self, rows: object, inner: Mirror | None = None, name: str | None = None) -> None:
        self._describe(Table, locals())

    def look(self, key: int, other: Mirror | None = None) -> Promise[object]:
        return self._call(Table.look, locals())

    @property
    def size(self) -> Attribute:
        return self._attribute("size")


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


def test_what_no_constructor_made_is_equal_to_itself_alone() -> None:
    """Only the worker could tell what is in it."""
    config = {"rows": [1]}
    first, second = Table.from_config(config), Table.from_config(config)
    assert first == first  # noqa: PLR0124 - what is tested
    assert first != second
    assert first != Table([1])


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


def test_arguments_cannot_be_changed_behind_its_back() -> None:
    """The mapping is for reading."""
    with pytest.raises(TypeError, match="does not support item assignment"):
        Table([1]).arguments["rows"] = 1  # type: ignore[index]  # what is tested


def test_every_signature_can_be_read() -> None:
    """Each annotation names what its module has at run time, where arguments are checked."""
    for found in pkgutil.iter_modules(asyncbridge.models.mirrors.__path__):
        module = import_module(f"asyncbridge.models.mirrors.{found.name}")
        own = [value for value in vars(module).values() if isinstance(value, type)]
        for kind in own:
            if not issubclass(kind, Mirror) or kind.__module__ != module.__name__:
                continue
            for name, function in vars(kind).items():
                # The mechanism's own methods are never read, nor are Python's.
                if isinstance(function, FunctionType) and (name[0] != "_" or name == "__init__"):
                    parameters_of(function)
    parameters_of(keras.utils.plot_model)
    parameters_of(keras.Input)


# --- attributes ---


def test_an_argument_is_an_attribute() -> None:
    """As in Keras, what was given to the constructor can be asked of the object."""
    dense: Any = keras.layers.Dense(16)
    assert (dense.units, dense.use_bias) == (16, True)


def test_an_unknown_attribute_is_told_with_a_guess() -> None:
    """Arguments, methods and properties are all guessed; nothing is sent."""
    dense: Any = keras.layers.Dense(16)
    with pytest.raises(AttributeError, match=r"^'Dense' mirrors have no attribute 'unit'; did you"):
        dense.unit  # noqa: B018 - what is tested
    with pytest.raises(AttributeError, match=r"did you mean 'count_params'\?; `await "):
        dense.count_param()
    with pytest.raises(AttributeError, match=r"have no attribute 'zzz'; `await "):
        dense.zzz  # noqa: B018 - as above
    assert not hasattr(dense, "_units")


def test_a_description_can_be_changed() -> None:
    """Until it is made, an argument is set as its constructor would have it."""
    table: Any = Table([1])
    table.name = "a"
    assert table == Table([1], name="a")
    assert table._recipe.text() == "keras.layers.Table([1], name='a')"
    dense: Any = keras.layers.Dense(1)
    with pytest.raises(TypeError, match=r"Dense\(\) argument 'units' must be int, not str"):
        dense.units = "3"
    assert dense.units == 1


def test_what_is_no_argument_cannot_be_set() -> None:
    """It would not reach the worker: the error says so, with a guess."""
    dense: Any = keras.layers.Dense(1)
    with pytest.raises(AttributeError, match=r"^Dense\.unit cannot be set.*did you mean 'units'"):
        dense.unit = 3
    configured: Any = Table.from_config({})
    with pytest.raises(AttributeError, match=r"^Table\.rows cannot be set on a mirror"):
        configured.rows = [1]


@pytest.mark.asyncio
async def test_what_is_made_cannot_be_changed(bridge: RecordingBridge) -> None:
    """The error names the line that made it, and what to do instead."""
    dense: Any = keras.layers.Dense(1)
    with pytest.raises(AttributeError) as caught:
        dense.units = 32
    assert str(caught.value) == (
        "Dense.units cannot be changed any more: the Dense was made in the worker "
        f"({dense._origin.note()}); make another one with units=32, and what is built on it"
    )
    assert dense.units == 1
    assert len(bridge.sent) == 1


@pytest.mark.asyncio
async def test_an_attribute_of_the_object_is_fetched(bridge: RecordingBridge) -> None:
    """By a property, or by name, also deep inside; nothing is sent before that."""
    table = Table([1])
    attribute = table.size
    assert len(bridge.sent) == 1
    promises = [attribute.promise(), table.fetch("size"), table.fetch("kernel.shape")]
    assert bridge.said(1) == [
        "worker_models.plain(table_1.size)",
        "worker_models.plain(table_1.size)",
        "worker_models.plain(table_1.kernel.shape)",
    ]
    assert [item.label for item in bridge.sent[1:]] == [
        "Table.size",
        "Table.size",
        "Table.kernel.shape",
    ]
    await bridge.work(value=3)
    assert [await promise for promise in promises] == [3, 3, 3]


@pytest.mark.asyncio
async def test_an_attribute_is_set_by_a_command(bridge: RecordingBridge) -> None:
    """In order with all others; a value that cannot be sent is refused at once."""
    table = Table([1])
    value = np.zeros(2)
    done = table._set("rows", value)
    assert bridge.said(1) == ["table_1.rows = rows_1"]
    assert list(bridge.sent[-1].bindings.values()) == [value]
    assert bridge.sent[-1].label == "Table.rows = <ndarray (2,) float64>"
    await bridge.work()
    assert await done is None  # type: ignore[func-returns-value]  # what is tested
    with pytest.raises(TypeError, match=r"^Table\.rows.*no wire form"):
        table._set("rows", object())


# --- in the worker ---


@pytest.mark.asyncio
async def test_with_a_current_bridge_it_is_made_at_once(bridge: RecordingBridge) -> None:
    """One command makes it; only what differs from the defaults is said."""
    dense = keras.layers.Dense(units=16, activation="sigmoid", use_bias=True)
    assert bridge.said() == ["dense_1 = keras.layers.Dense(16, activation='sigmoid')"]
    assert bridge.sent[0].bindings == {}
    assert dense.bridge is cast("object", bridge)


@pytest.mark.asyncio
async def test_arrays_travel_as_bindings(bridge: RecordingBridge) -> None:
    """The code names them, the values go beside it."""
    Table(np.arange(3))
    assert bridge.said() == ["table_1 = keras.layers.Table(rows_1)"]
    (value,) = bridge.sent[0].bindings.values()
    assert np.array_equal(cast("list[int]", value), [0, 1, 2])


@pytest.mark.asyncio
async def test_other_mirrors_go_by_their_names(bridge: RecordingBridge) -> None:
    """A mirror inside another's arguments is made first and named there."""
    Table([Table([1])], Table([2]))
    assert bridge.said(2) == ["table_3 = keras.layers.Table([table_1], inner=table_2)"]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_descriptions_are_made_in_the_order_of_their_making(
    other_bridge: RecordingBridge,
) -> None:
    """Keras draws seeds in constructors, so the order here is the order there."""
    last, first = Table([2]), Table([1])  # what is described first is made first
    outer = Table([first, last])
    with other_bridge.current():
        outer.look(1)
    assert other_bridge.said() == [
        "table_1 = keras.layers.Table([2])",
        "table_2 = keras.layers.Table([1])",
        "table_3 = keras.layers.Table([table_2, table_1])",
        "worker_models.plain(table_3.look(1))",
    ]


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_a_changed_description_keeps_its_place(other_bridge: RecordingBridge) -> None:
    """What it was changed to is made, in the order of the first making."""
    first: Any = Table([1])
    second = Table([2])
    first.name = "a"
    with other_bridge.current():
        Table([first, second])
    assert other_bridge.said()[0] == "table_1 = keras.layers.Table([1], name='a')"


@pytest.mark.asyncio
async def test_a_mirror_keeps_its_bridge(other_bridge: RecordingBridge) -> None:
    """It is called through its own bridge where no bridge is current, and brings others there."""
    with other_bridge.current():
        table = Table([1])
    pending = Table([2])
    assert pending.bridge is None
    table.look(3, pending)
    assert pending.bridge is table.bridge
    assert other_bridge.said(1) == [
        "table_2 = keras.layers.Table([2])",
        "worker_models.plain(table_1.look(3, other=table_2))",
    ]
    made_of = Table([4], table)
    assert made_of.bridge is table.bridge


@pytest.mark.asyncio
async def test_another_bridge_is_refused(
    bridge: RecordingBridge, other_bridge: RecordingBridge
) -> None:
    """A call and a constructor raise at once, and nothing is sent."""
    here = Table([1])
    with other_bridge.current():
        there = Table([2])
    with pytest.raises(ValueError, match=r"^<Table rows=\[2\]> belongs to <Bridge other>"):
        here.look(1, there)
    with pytest.raises(ValueError, match=r"belongs to .*make another one there"):
        Table([here, there])
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
async def test_keras_own_names_may_be_arguments(bridge: RecordingBridge) -> None:
    """A mirrored class or function stands for Keras's own."""
    keras.layers.Activation(keras.ops.relu)
    assert bridge.said() == ["activation_1 = keras.layers.Activation(keras.ops.relu)"]


@pytest.mark.asyncio
async def test_one_may_be_made_of_a_config(bridge: RecordingBridge) -> None:
    """Keras's own method makes it, of the class that is asked."""
    dense = keras.layers.Dense.from_config({"units": 3})
    assert type(dense) is keras.layers.Dense
    assert dict(dense.arguments) == {}
    assert repr(dense) == "<Dense keras.layers.Dense.from_config({'units': 3})>"
    assert bridge.said() == ["dense_1 = keras.layers.Dense.from_config({'units': 3})"]
    with pytest.raises(TypeError, match=r"^Dense\.from_config\(\) argument 'config'.*no wire form"):
        keras.layers.Dense.from_config({"units": object()})


@pytest.mark.asyncio
async def test_awaiting_waits_for_the_making(bridge: RecordingBridge) -> None:
    """The mirror comes back, at once if it is made; a failure is raised each time."""
    table, bad = Table([1]), keras.losses.Hinge()
    await bridge.work({"keras.losses.Hinge": RemoteError("ValueError", "no")})
    assert await table is table
    assert await table is table
    for _ in range(2):
        with pytest.raises(RemoteError, match="no"):
            await bad


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_a_call_without_any_bridge_says_what_to_do() -> None:
    """It is a BridgeClosed at the call, and nothing else happens."""
    table = Table([1])
    with pytest.raises(BridgeClosed, match=r"^Table\.look\(\) needs an open bridge"):
        table.look(3)
    with pytest.raises(BridgeClosed, match=r"^await <Table rows=\[1\]> needs an open bridge"):
        await table
    with pytest.raises(BridgeClosed, match=r"^Table\.size\(\) needs an open bridge"):
        await table.size
    assert table.bridge is None


# --- the user's own classes ---


class Wide(keras.layers.Dense):
    """A class of the user's, with its own constructor and methods."""

    def __init__(self) -> None:
        super().__init__(512)

    def half(self) -> int:
        return cast("int", self.arguments["units"]) // 2


@pytest.mark.asyncio
async def test_a_subclass_may_have_its_own_constructor(bridge: RecordingBridge) -> None:
    """It stands for its base in the worker; its line is the one that called it."""
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
    wide = Wide()
    assert bridge.said() == ["wide_1 = keras.layers.Dense(512)"]
    assert wide._origin.site.startswith(f"{__file__}:{line}, in test_a_subclass")
    assert (wide.half(), repr(wide)) == (256, "<Wide units=512>")
    assert wide == Wide()
    assert wide != keras.layers.Dense(512)


def test_a_subclass_cannot_override_what_keras_calls() -> None:
    """Such a method would have to run in the worker."""

    class Own(keras.Layer):
        def call(self, x: object) -> object:
            return x

    with pytest.raises(TypeError, match=r"^Own\.call\(\) would have to run in the worker, where"):
        Own()


# --- life and death ---


@pytest.mark.asyncio
async def test_a_name_is_released_with_its_mirror(bridge: RecordingBridge) -> None:
    """Once the commands that name it are done, the client's object alone holds the name."""
    table = Table([1])
    name = table._name
    promise = table.look(1)
    await bridge.work()
    bridge.forget()
    del table
    await promise
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
async def test_what_it_is_made_of_lives_with_it(bridge: RecordingBridge) -> None:
    """A mirror may be asked for its arguments for as long as it lives, and no longer."""
    inner = Table([1])
    outer = Table([2], inner)
    seen = weakref.ref(inner)
    await bridge.work()
    bridge.forget()
    del inner
    gc.collect()
    assert outer.arguments["inner"] is seen()
    assert seen() is not None
    del outer
    assert seen() is None


@pytest.mark.asyncio
async def test_a_kept_promise_keeps_no_mirror(bridge: RecordingBridge) -> None:
    """Who holds results, or errors, does not hold the objects in the worker."""
    promises = [Table([2], Table([1])).look(1), Table([3]).look(1)]
    await bridge.work({"Table.look": RemoteError("ValueError", "no")})
    bridge.forget()
    assert len(bridge.released) == 3
    assert [promise.exception() is not None for promise in promises] == [True, True]


@pytest.mark.asyncio
async def test_a_failed_send_leaves_a_description(
    bridge: RecordingBridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the bridge refuses a command, the mirror is not thought to be in the worker."""

    def refuse(*args: object, **kwargs: object) -> object:
        raise BridgeClosed("closed")

    with monkeypatch.context() as patch:
        patch.setattr(bridge, "send", refuse)
        with pytest.raises(BridgeClosed):
            Table([1])
    assert bridge.sent == []
    Table([1])
    assert len(bridge.sent) == 1


# --- notes ---


@pytest.mark.asyncio
async def test_an_error_tells_where_its_mirror_was_made(bridge: RecordingBridge) -> None:
    """The names that the worker reports are turned into the lines that made them."""
    line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]  # CPython has frames
    inner = Table([1])
    outer = Table([2], inner)
    promise = outer.look(1)
    assert inner._name is not None
    wrong = RemoteError("ValueError", "no", subjects=(inner._name, "other"))
    await bridge.work({"Table.look": wrong})
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
async def test_a_failed_creation_is_told_to_what_is_made_of_it(bridge: RecordingBridge) -> None:
    """The outer one was never tried: its error is the inner one's, with the inner one's line."""
    inner = keras.losses.Hinge()
    outer = Table([1], inner)
    await bridge.work({"keras.losses.Hinge": RemoteError("ValueError", "no")})
    with pytest.raises(DependencyError) as caught:
        await outer
    assert caught.value.__notes__ == [inner._origin.note()]


def test_a_calls_arguments_are_checked_and_split() -> None:
    """What a call must say comes back; what cannot be sent is refused, by its place."""
    arguments = take_call("Table.look", Table.look, {"self": None, "key": 1, "other": None})
    assert (arguments.leading, arguments.named) == ({"key": 1}, {})
    with pytest.raises(TypeError, match=r"^f\(\) argument 'x'.*no wire form"):
        take_call("f", keras.ops.relu, {"x": {"a": object()}})


@pytest.mark.usefixtures("no_bridge")
def test_a_copy_is_the_mirror_itself() -> None:
    """There is one object in the worker, whose name goes with one mirror."""
    dense = keras.layers.Dense(1)
    assert copy.copy(dense) is dense
    assert copy.deepcopy({"layers": [dense]})["layers"][0] is dense


@pytest.mark.usefixtures("no_bridge")
def test_an_argument_that_was_left_out_is_not_known_here() -> None:
    """Keras finds its value, as an adapted layer its mean: the error says how to ask for it."""
    layer: Any = keras.layers.Normalization(axis=-1)
    assert layer.axis == -1
    with pytest.raises(
        AttributeError, match=r"no attribute 'mean'; `await mirror\.fetch\('mean'\)`"
    ):
        layer.mean  # noqa: B018 - what is tested


@pytest.mark.asyncio
async def test_a_name_in_the_worker_is_a_mirror(bridge: RecordingBridge) -> None:
    """Nothing is sent for it; it is used under a name of its own, and gives its name."""
    mine = keras.Layer.from_binding(Binding("mine", "eternal"))
    assert bridge.sent == []
    mine.count_params()
    assert bridge.said() == ["layer_1 = mine", "worker_models.plain(layer_1.count_params())"]
    assert str(mine.binding) == bridge.name_of("mine")
