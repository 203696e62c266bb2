from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import RemoteError
from asyncbridge.models.mirrors.tensor import KerasTensor
from asyncbridge.references import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

FACTS = {"name": "functional", "built": True, "parameters": 15}


def small(**arguments: Any) -> keras.Model:
    """Return a model of one layer."""
    x = keras.Input((4,))
    return keras.Model(x, keras.layers.Dense(3)(x), **arguments)


# --- a description ---


@pytest.mark.usefixtures("no_bridge")
def test_a_model_is_a_description_without_a_bridge() -> None:
    """It knows its layers, and shows their number, and its name if it was given one."""
    x = keras.Input((4,))
    dense = keras.layers.Dense(3)
    model = keras.Model(inputs=x, outputs=keras.ops.relu(dense(x)) * 2)
    assert [type(layer).__name__ for layer in model.layers] == ["InputLayer", "Dense"]
    assert model.layers[1] is dense
    assert repr(model) == "<Model layers=2>"
    assert repr(small(name="iris")) == "<Model 'iris' layers=2>"
    assert (model.bridge, model.built, model.name) == (None, False, None)
    layers = [keras.Input((4,)), keras.layers.Dense(3)]
    assert repr(keras.Sequential(layers)) == "<Sequential layers=1>"
    assert repr(keras.Sequential(layers, name="iris")) == "<Sequential 'iris' layers=1>"


def test_models_of_the_same_graph_are_equal() -> None:
    """The tensors count; two graphs that look alike are two."""
    x = keras.Input((4,))
    y = keras.layers.Dense(1)(x)
    assert keras.Model(x, [y]) == keras.Model(x, [y])
    assert keras.Model(x, [y]) != keras.Model(x, y)
    assert small() != small()


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_a_graph_is_made_in_the_order_of_its_making(other_bridge: RecordingBridge) -> None:
    """All of it comes with the first call, in the order of the lines; then the call."""
    x = keras.Input((4,))
    last = keras.layers.Dense(2)
    hidden = keras.layers.Dense(3)(x)
    model = keras.Model(x, last(hidden))
    with other_bridge.current():
        model.compile()
    assert other_bridge.said() == [
        "kerastensor_1 = keras.Input(shape=(4,))",
        "dense_1 = keras.layers.Dense(2)",
        "dense_2 = keras.layers.Dense(3)",
        "kerastensor_2 = dense_2(kerastensor_1)",
        "kerastensor_3 = dense_1(kerastensor_2)",
        "model_1 = keras.Model(kerastensor_1, kerastensor_3)",
        "model_1.compile()",
    ]


@pytest.mark.asyncio
async def test_inputs_and_outputs_may_be_structures(bridge: RecordingBridge) -> None:
    """Lists and dicts, nested, are written out."""
    a, b = keras.Input((1,)), keras.Input((2,))
    keras.Model({"a": a, "b": [b]}, (a, {"c": b}), name="m", trainable=False)
    assert bridge.said(2) == [
        (
            "model_1 = keras.Model({'a': kerastensor_1, 'b': [kerastensor_2]}, "
            "(kerastensor_1, {'c': kerastensor_2}), name='m', trainable=False)"
        )
    ]


@pytest.mark.asyncio
async def test_a_subclass_may_build_its_own_graph(bridge: RecordingBridge) -> None:
    """As Keras's functional subclasses do, in their constructors."""

    class Iris(keras.Model):
        def __init__(self, units: int) -> None:
            x = keras.Input((4,))
            super().__init__(x, keras.layers.Dense(units)(x), name="iris")

    model = Iris(3)
    assert bridge.said()[-1] == ("iris_1 = keras.Model(kerastensor_1, kerastensor_2, name='iris')")
    assert model._origin.site.endswith("in test_a_subclass_may_build_its_own_graph")
    assert model.layers[1]._origin.site.endswith("in __init__")


# --- as a layer ---


@pytest.mark.usefixtures("no_bridge")
@pytest.mark.parametrize("kind", [list, tuple])
def test_it_gives_the_structure_of_its_outputs(kind: type[Any]) -> None:
    """So that several outputs can be unpacked at once."""
    x = keras.Input((4,))
    first, second = keras.layers.Dense(1)(x), keras.layers.Dense(2)(x)
    made = keras.Model(x, kind([first, {"b": second, "a": (first,)}]))(keras.Input((4,)))
    assert type(made) is kind
    assert type(made[0]) is KerasTensor
    assert list(made[1]) == ["b", "a"]
    assert type(made[1]["a"]) is tuple


@pytest.mark.asyncio
async def test_a_call_of_several_outputs_as_code(bridge: RecordingBridge) -> None:
    """One call, and each output by its index or key."""
    x = keras.Input((4,))
    model = keras.Model(x, {"a": [x], "b": x})
    made = model(x)
    assert type(made["a"][0]) is type(made["b"]) is KerasTensor
    assert bridge.said(2) == [
        "kerastensor_2 = model_1(kerastensor_1)",
        "kerastensor_3 = kerastensor_2['a']",
        "kerastensor_4 = kerastensor_3[0]",
        "kerastensor_5 = kerastensor_2['b']",
    ]


# --- layers ---


@pytest.mark.asyncio
async def test_layers_are_found_by_place_and_name(bridge: RecordingBridge) -> None:
    """What was made here is given back itself, by Keras's own name too, once that is known."""
    x = keras.Input((4,))
    dense, last = keras.layers.Dense(3), keras.layers.Dense(1, name="last")
    model = keras.Model(x, last(dense(x)))
    assert model.get_layer(index=1) is dense
    assert model.get_layer(index=-1) is model.get_layer("last") is last
    bridge.tell(dense_1={"name": "dense_7", "built": True, "parameters": 15})
    await bridge.work()
    assert model.get_layer("dense_7") is dense
    with pytest.raises(IndexError, match=r"^no layer 3: <Model layers=3> has 3$"):
        model.get_layer(index=3)
    for arguments in ({}, {"name": "last", "index": 0}):
        with pytest.raises(TypeError, match="takes either a name or an index"):
            model.get_layer(**arguments)  # type: ignore[arg-type]  # what is tested


@pytest.mark.asyncio
async def test_the_worker_tells_the_names(bridge: RecordingBridge) -> None:
    """Of all layers in order, those of inputs too: they are found by them."""
    model = small()
    names = ["input_layer", "dense_2"]
    bridge.tell(model_1={**FACTS, "layers": names})
    await bridge.work()
    assert [layer.name for layer in model.layers] == names
    assert model.get_layer("input_layer") is model.layers[0]


@pytest.mark.asyncio
async def test_an_unknown_name_is_the_workers_to_judge(bridge: RecordingBridge) -> None:
    """It may be a layer's that was made there; the error names the line of ``get_layer``."""
    model = small()
    layer = model.get_layer("lost")
    count = len(bridge.sent)
    promise = layer.get_weights()
    assert bridge.said(count) == [
        "layer_1 = model_1.get_layer(name='lost')",
        "worker_models.plain(layer_1.get_weights())",
    ]
    await bridge.work({"Model.get_layer": RemoteError("ValueError", "No such layer")})
    with pytest.raises(RemoteError, match="No such layer") as caught:
        await promise
    (note,) = caught.value.__notes__
    assert note.startswith("Model.get_layer(name='lost') was called at ")
    assert note.endswith("in test_an_unknown_name_is_the_workers_to_judge")


@pytest.mark.asyncio
async def test_a_model_of_the_workers_tells_its_layers(bridge: RecordingBridge) -> None:
    """They are known once it is there, and are mirrors when they are asked for."""
    model = keras.applications.MobileNet()
    assert repr(model) == (
        "<Model keras.applications.MobileNet() not built on <Bridge recording> "
        "[keras.applications.MobileNet queued, 0 ahead]>"
    )
    with pytest.raises(RuntimeError, match=r"are known once the worker has made it: `await` it"):
        _ = model.layers
    bridge.tell(model_1={**FACTS, "name": "mobilenet", "layers": ["input", "conv1"]})
    await bridge.work()
    assert repr(model) == (
        "<Model 'mobilenet' layers=2 built, 15 parameters on <Bridge recording>>"
    )
    assert [layer.name for layer in model.layers] == ["input", "conv1"]
    assert model.get_layer("conv1") is model.layers[1]
    assert len(bridge.sent) == 1
    model.layers[1].trainable = False
    assert bridge.said(1) == [
        "layer_1 = model_1.get_layer(name='conv1')",
        "layer_1.trainable = False",
    ]


# --- facts ---


@pytest.mark.asyncio
async def test_the_repr_tells_facts(bridge: RecordingBridge) -> None:
    """Built or not, its parameters, its bridge, and what waits on it at which place."""
    model = small()
    await bridge.work()
    assert repr(model) == "<Model layers=2 not built on <Bridge recording>>"
    model.compile()
    fit = model.fit([[1.0] * 4], [[1.0] * 3])
    bridge.sent[-1].ahead = 3
    assert repr(model) == (
        "<Model layers=2 not built on <Bridge recording> [Model.fit queued, 3 ahead]>"
    )
    bridge.sent[-1].state = "running"
    assert repr(model).endswith("[Model.fit running]>")
    bridge.tell(model_1=FACTS)
    await bridge.work(value={"history": {}, "epoch": [], "params": {}})
    await fit
    assert repr(model) == (
        "<Model 'functional' layers=2 built, 15 parameters on <Bridge recording>>"
    )


@pytest.mark.asyncio
async def test_trainable_holds_for_its_layers(bridge: RecordingBridge) -> None:
    """As in Keras; one command does it."""
    model = small()
    count = len(bridge.sent)
    model.trainable = False
    assert bridge.said(count) == ["model_1.trainable = False"]
    assert [layer.trainable for layer in model.layers] == [False, False]
    model.layers[1].trainable = True
    assert (model.trainable, model.layers[1].trainable) == (False, True)


# --- the whole of it ---


@pytest.mark.asyncio
async def test_summary_is_text(bridge: RecordingBridge) -> None:
    """The worker collects what Keras prints; ``print_fn`` is called here, line by line."""
    model = small()
    lines: list[str] = []
    promise = model.summary(line_length=60, print_fn=lines.append)
    silent = model.summary()
    assert bridge.said()[-2] == (
        "(worker_models.summary(model_1, line_length=60), worker_models.layer_rows(model_1))"
    )
    row = {
        "name": "dense",
        "type": "Dense",
        "output_shape": "(None, 3)",
        "parameters": 15,
        "trainable": True,
    }
    await bridge.work(value=("Model:\n dense\n", [row]))
    assert await promise == await silent == "Model:\n dense\n"
    assert lines == ["Model:", " dense"]
    assert [layer.parameters for layer in (await promise).layers] == [15]


@pytest.mark.asyncio
async def test_files_are_the_workers(bridge: RecordingBridge) -> None:
    """Paths go as they are; weights that are loaded may build it."""
    model = small()
    count = len(bridge.sent)
    model.save("a.keras")
    model.save_weights("a.weights.h5", overwrite=False)
    model.load_weights("a.weights.h5")
    model.export("folder")
    model.to_json()
    model.output_shape.promise()
    assert bridge.said(count) == [
        "model_1.save('a.keras')",
        "model_1.save_weights('a.weights.h5', overwrite=False)",
        "(model_1.load_weights('a.weights.h5'), worker_models.state(model_1, dense_1))",
        "model_1.export('folder')",
        "worker_models.plain(model_1.to_json())",
        "worker_models.plain(model_1.output_shape)",
    ]


@pytest.mark.asyncio
async def test_all_variables_go_both_ways(bridge: RecordingBridge) -> None:
    """By kind and path, as Keras's own trees of them; quantizing changes the facts."""
    model = small()
    count = len(bridge.sent)
    model.get_state_tree()
    model.set_state_tree({"trainable_variables": {"dense": {"bias": np.zeros(3)}}})
    model.quantize("int8")
    assert bridge.said(count) == [
        "worker_models.plain(model_1.get_state_tree())",
        "model_1.set_state_tree({'trainable_variables': {'dense': {'bias': state_tree_1}}})",
        "(model_1.quantize(mode='int8'), worker_models.state(model_1, dense_1))",
    ]


# --- two bridges ---


@pytest.mark.asyncio
async def test_a_layer_of_another_bridge_is_refused(
    bridge: RecordingBridge, other_bridge: RecordingBridge
) -> None:
    """The error names it and both bridges, at the line that brings them together."""
    with other_bridge.current():
        there = keras.layers.Dense(1)
    x = keras.Input((4,))
    with pytest.raises(ValueError, match=r"^<Dense units=1> belongs to <Bridge other>, and <Ker"):
        there(x)
    model = keras.Sequential()
    with pytest.raises(ValueError, match=r"belongs to <Bridge .*make another one there"):
        model.add(there)
    assert model.layers == []
    assert len(other_bridge.sent) == 1


@pytest.mark.asyncio
async def test_a_binding_of_another_bridge_is_refused(
    bridge: RecordingBridge, other_bridge: RecordingBridge
) -> None:
    """Its name may stand for something else in this one's worker, or for nothing."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    there = Binding("data", "eternal", other_bridge)
    with pytest.raises(ValueError, match=r"the binding data is a name in another bridge's worker"):
        model.predict(there)
    model.predict(Binding("data", "eternal", bridge))
    assert "data" in bridge.said(len(bridge.sent) - 1)[-1]


# --- life and death ---


@pytest.mark.asyncio
async def test_a_kept_model_keeps_its_layers_and_no_more(bridge: RecordingBridge) -> None:
    """A model in a model goes when both are garbage; a promise or a fit holds neither."""
    inner = small()
    outer = keras.Sequential([inner])
    refs: list[weakref.ref[Any]] = [weakref.ref(inner), weakref.ref(outer)]
    outer.compile()
    promise = outer.predict([[1.0] * 4])
    await bridge.work(value="array")
    bridge.forget()
    del inner
    gc.collect()
    assert all(ref() is not None for ref in refs)
    del outer
    gc.collect()
    assert [ref() for ref in refs] == [None, None]
    assert await promise == "array"


@pytest.mark.usefixtures("no_bridge")
def test_inputs_and_outputs_are_lists_of_its_tensors() -> None:
    """The structure stays in ``input`` and ``output``; both make further models."""
    first, second = keras.Input((2,)), keras.Input((3,))
    joined = keras.layers.Concatenate()([first, second])
    model = keras.Model({"b": second, "a": first}, joined)
    assert isinstance(model.inputs, list)
    assert [id(tensor) for tensor in model.inputs] == [id(first), id(second)]
    assert model.input["b"] is second
    assert model.outputs[0] is model.output
    longer = keras.Model(model.inputs, keras.layers.Dense(1)(model.outputs[0]))
    assert len(longer.layers) == 4
