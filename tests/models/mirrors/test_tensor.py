from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, DependencyError, RemoteError
from asyncbridge.models.mirrors.structures import ONE
from asyncbridge.models.mirrors.tensor import Input, KerasTensor, tensors_of

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


def told(*shape: int | None, name: str = "t", dtype: str = "float32") -> tuple[str, object]:
    """Return what the worker says of one tensor."""
    return ("tensor", {"shape": shape, "dtype": dtype, "name": name, "sparse": False})


# --- inputs ---


@pytest.mark.asyncio
async def test_an_input_as_code(bridge: RecordingBridge) -> None:
    """Keras's own function is called with what differs from the defaults."""
    keras.Input((4,), dtype="int32", name="ids")
    keras.Input(batch_shape=(2, None), sparse=True)
    assert bridge.said() == [
        "kerastensor_1 = keras.Input(shape=(4,), dtype='int32', name='ids')",
        "kerastensor_2 = keras.Input(sparse=True, batch_shape=(2, None))",
    ]
    assert bridge.sent[0].label == "keras.Input"


@pytest.mark.usefixtures("no_bridge")
def test_an_input_is_a_symbolic_tensor() -> None:
    """It shows how it was made; its arguments are checked."""
    tensor = Input((4,))
    assert type(tensor) is KerasTensor
    assert repr(tensor) == "<KerasTensor keras.Input(shape=(4,))>"
    assert keras.layers.Input is keras.Input is Input
    with pytest.raises(TypeError, match=r"^Input\(\) argument 'shape' must be Sequence\[int \|"):
        Input(4)  # type: ignore[arg-type]  # what is tested


@pytest.mark.asyncio
async def test_the_class_can_be_constructed(bridge: RecordingBridge) -> None:
    """As in Keras: a symbolic tensor of nobody's."""
    keras.KerasTensor((None, 4), dtype="int32")
    assert bridge.said() == ["kerastensor_1 = keras.KerasTensor((None, 4), dtype='int32')"]


# --- facts ---


@pytest.mark.asyncio
async def test_what_keras_inferred_is_awaited(bridge: RecordingBridge) -> None:
    """It comes with the making: no further command, and at once when it is known."""
    tensor = keras.layers.Dense(3)(keras.Input((4,)))
    bridge.tell(kerastensor_2={"tensors": told(None, 3, name="dense_1_out")})
    shape = tensor.shape.promise()
    assert not shape.done()
    await bridge.work()
    assert await shape == (None, 3)
    assert [await tensor.dtype, await tensor.ndim, await tensor.name, await tensor.sparse] == [
        "float32",
        2,
        "dense_1_out",
        False,
    ]
    assert len(bridge.sent) == 3
    assert repr(tensor) == "<KerasTensor 'dense_1_out' shape=(None, 3) dtype=float32>"


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_a_description_is_made_to_be_asked(other_bridge: RecordingBridge) -> None:
    """Without a bridge nobody knows the shape."""
    tensor = keras.Input((4,))
    with pytest.raises(BridgeClosed, match=r"^await <KerasTensor> needs an open bridge"):
        await tensor.shape
    with other_bridge.current():
        shape = tensor.shape.promise()
    other_bridge.tell(kerastensor_1={"tensors": told(None, 4)})
    await other_bridge.work()
    assert await shape == (None, 4)


@pytest.mark.asyncio
async def test_a_shape_of_several_is_refused(bridge: RecordingBridge) -> None:
    """One symbolic result may stand for several: the error says to take one."""
    tensor = keras.layers.RNN(keras.layers.LSTMCell(3), return_state=True)(keras.Input((5, 2)))
    bridge.tell(kerastensor_2={"tensors": ("list", [told(None, 3), told(None, 3)])})
    await bridge.work()
    with pytest.raises(TypeError, match=r"stands for a list of tensors: take one of them by index"):
        await tensor.shape


@pytest.mark.asyncio
async def test_a_failed_call_fails_what_asks(bridge: RecordingBridge) -> None:
    """The shape of what was never made is its error, with both lines."""
    dense = keras.layers.Dense(3)
    tensor = dense(keras.Input((4,)))
    further = tensor + 1
    assert dense._name is not None
    wrong = RemoteError("ValueError", "no", subjects=(dense._name,))
    await bridge.work({"Dense.__call__": wrong})
    with pytest.raises(RemoteError) as caught:
        await tensor.shape
    notes = [dense._origin.note(), tensor._origin.note()]
    assert caught.value.__notes__ == notes
    with pytest.raises(DependencyError) as unrun:
        await further.shape
    assert unrun.value.__notes__ == notes


@pytest.mark.asyncio
async def test_the_called_layer_is_told_of_too(bridge: RecordingBridge) -> None:
    """Its first call builds it; an item of a result, or an operator, builds nothing."""
    dense = keras.layers.Dense(3)
    tensor = dense(keras.Input((4,)))
    assert bridge.code(2)[0].endswith("worker_models.state(kerastensor_2, dense_1)")
    tensor[0]
    assert bridge.code(3)[0].endswith("worker_models.state(kerastensor_3)")
    bridge.tell(dense_1={"name": "dense", "built": True, "parameters": 15})
    await bridge.work()
    assert repr(dense) == "<Dense units=3 built, 15 parameters>"


# --- several ---


@pytest.mark.usefixtures("no_bridge")
def test_results_have_the_structure_that_is_known() -> None:
    """Lists, tuples and dicts, nested; each part is an item, by index or by key."""
    recipe = keras.Input((4,))._recipe
    structure = {"a": (ONE, [ONE]), "b": ONE}
    made = tensors_of(recipe, structure)
    assert type(made["a"]) is tuple
    assert type(made["a"][1]) is list
    leaves = [made["a"][0], made["a"][1][0], made["b"]]
    assert all(type(leaf) is KerasTensor for leaf in leaves)
    assert len({id(leaf._node) for leaf in leaves}) == 1
    for single in (None, ONE):
        assert type(tensors_of(recipe, single)) is KerasTensor


@pytest.mark.asyncio
async def test_items_are_made_by_index(bridge: RecordingBridge) -> None:
    """``a, b = layer(x)`` is one call, and one command for each result."""
    output, *states = keras.layers.LSTM(3, return_state=True)(keras.Input((5, 2)))
    assert len(states) == 2
    assert bridge.said(2) == [
        "kerastensor_2 = lstm_1(kerastensor_1)",
        "kerastensor_3 = kerastensor_2[0]",
        "kerastensor_4 = kerastensor_2[1]",
        "kerastensor_5 = kerastensor_2[2]",
    ]
    assert type(output) is KerasTensor


@pytest.mark.asyncio
async def test_an_unknown_number_cannot_be_unpacked(bridge: RecordingBridge) -> None:
    """Until the worker has told: then it can, and one tensor alone never can."""
    several = keras.layers.RNN(keras.layers.LSTMCell(3), return_state=True)(keras.Input((5, 2)))
    single = keras.Input((4,))
    bridge.tell(
        kerastensor_2={"tensors": ("list", [told(None, 3), told(None, 3)])},
        kerastensor_3={"tensors": told(None, 4)},
    )
    with pytest.raises(TypeError, match=r"^how many tensors .* known in the worker alone: take"):
        _, _ = several
    await bridge.work()
    await several
    first, second = several
    assert (type(first), type(second)) == (KerasTensor, KerasTensor)
    assert bridge.said(len(bridge.sent) - 2) == [
        "kerastensor_4 = kerastensor_2[0]",
        "kerastensor_5 = kerastensor_2[1]",
    ]
    with pytest.raises(TypeError, match=r"is one tensor, which cannot be iterated over$"):
        list(single)


# --- new ones ---


@pytest.mark.asyncio
async def test_indices_are_nodes(bridge: RecordingBridge) -> None:
    """Slices, the ellipsis, None, numbers and other tensors."""
    tensor = keras.Input((4, 5))
    tensor[:, 1:3]
    tensor[..., None]
    tensor[0]
    tensor[tensor]
    assert bridge.said(1) == [
        "kerastensor_2 = kerastensor_1[:, 1:3]",
        "kerastensor_3 = kerastensor_1[..., None]",
        "kerastensor_4 = kerastensor_1[0]",
        "kerastensor_5 = kerastensor_1[kerastensor_1]",
    ]
    for key in (object(), slice(object())):
        with pytest.raises(TypeError, match="has no wire form"):
            tensor[key]


@pytest.mark.asyncio
async def test_methods_are_nodes(bridge: RecordingBridge) -> None:
    """Those that Keras's own tensors have."""
    tensor = keras.Input((4, 1))
    tensor.reshape((2, 2)).squeeze(-1)
    assert bridge.said(1) == [
        "kerastensor_2 = kerastensor_1.reshape((2, 2))",
        "kerastensor_3 = kerastensor_2.squeeze(axis=-1)",
    ]


def test_it_is_neither_true_nor_false() -> None:
    """A condition on it would be decided before there is any data."""
    tensor = keras.Input((4,))
    with pytest.raises(TypeError, match=r"has no value yet, so it is neither true nor false$"):
        bool(tensor > 0)
    with pytest.raises(TypeError, match=r"has no value yet"):
        assert tensor


@pytest.mark.asyncio
async def test_an_array_beside_it_is_bound(bridge: RecordingBridge) -> None:
    """Calls take data and tensors together."""
    keras.layers.add([keras.Input((4,)), np.zeros(4)])
    assert bridge.said(1) == ["kerastensor_2 = keras.layers.add([kerastensor_1, inputs_1])"]


# --- life and death ---


@pytest.mark.asyncio
@pytest.mark.parametrize("fails", [False, True])
async def test_a_graph_goes_with_its_tensors(bridge: RecordingBridge, fails: bool) -> None:
    """Layers, tensors and model: all names are released when the user drops them."""
    refs = graph()
    count = len(bridge.sent)
    await bridge.work({"Dense.__call__": RemoteError("ValueError", "no")} if fails else None)
    for item in bridge.sent:
        item.promise.exception()
    bridge.forget()
    gc.collect()
    assert [ref() for ref in refs] == [None] * len(refs)
    assert len(bridge.released) == count


def graph() -> list[weakref.ref[Any]]:
    """Make a model, and return references to all of its parts."""
    inputs = keras.Input((4,))
    dense = keras.layers.Dense(3)
    outputs = keras.ops.relu(dense(inputs)) * 2
    model = keras.Model(inputs, outputs)
    return [weakref.ref(part) for part in (inputs, dense, outputs, model, *model.layers)]


@pytest.mark.asyncio
async def test_a_kept_layer_keeps_no_graph(bridge: RecordingBridge) -> None:
    """It is called, and knows nothing of what came of it."""
    dense = keras.layers.Dense(3)
    seen = weakref.ref(dense(keras.Input((4,))))
    await bridge.work()
    bridge.forget()
    gc.collect()
    assert seen() is None
    assert dense.bridge is not None


@pytest.mark.asyncio
async def test_a_tensor_keeps_what_it_is_made_of(bridge: RecordingBridge) -> None:
    """A model may yet be made of it, and knows its layers then."""
    inputs = keras.Input((4,))
    layer = keras.layers.Dense(2)
    dense = weakref.ref(layer)
    outputs = layer(inputs)
    del layer
    await bridge.work()
    bridge.forget()
    gc.collect()
    assert dense() is not None
    assert keras.Model(inputs, outputs).layers[1] is dense()
