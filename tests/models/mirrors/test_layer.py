from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed, RemoteError
from asyncbridge.models.mirrors.layer import Layer, Operation
from asyncbridge.models.mirrors.tensor import KerasTensor

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge

BUILT = {"name": "dense_7", "built": True, "parameters": 15}


def test_every_layer_is_an_operation() -> None:
    """As in Keras; models are layers."""
    assert issubclass(keras.layers.Dense, Layer)
    assert issubclass(Layer, Operation)
    assert issubclass(keras.Model, Layer)
    assert keras.Layer is keras.layers.Layer is Layer


# --- calls ---


@pytest.mark.asyncio
async def test_a_call_with_a_tensor_is_a_node(bridge: RecordingBridge) -> None:
    """The layer's arguments go as they were given."""
    dropout = keras.layers.Dropout(0.5)
    made = dropout(keras.Input((4,)), training=True)
    assert type(made) is KerasTensor
    assert bridge.said(2) == ["kerastensor_2 = dropout_1(kerastensor_1, training=True)"]
    assert repr(made) == "<KerasTensor <Dropout rate=0.5>(<KerasTensor>, training=True)>"


@pytest.mark.usefixtures("no_bridge")
def test_a_call_may_be_a_description() -> None:
    """With data it needs a bridge."""
    dense = keras.layers.Dense(3)
    assert type(dense(keras.Input((4,)))) is KerasTensor
    with pytest.raises(BridgeClosed, match=r"^Dense\.__call__\(\) needs an open bridge"):
        dense([[1.0]])


@pytest.mark.asyncio
async def test_a_call_with_data_is_a_promise(bridge: RecordingBridge) -> None:
    """Of arrays; several inputs are a list, arrays in it bindings of their own."""
    add = keras.layers.Add()
    promise = add([np.zeros(2), np.ones(2)])
    assert bridge.said(1) == ["worker_models.plain(add_1([args_0_1, args_0_2]))"]
    await bridge.work(value="sum")
    assert await promise == "sum"


@pytest.mark.asyncio
async def test_a_failed_call_names_the_layers_line(bridge: RecordingBridge) -> None:
    """With data, it is a method like any other."""
    dense = keras.layers.Dense(3)
    promise = dense([[1.0]])
    await bridge.work({"Dense.__call__": RemoteError("ValueError", "no")})
    with pytest.raises(RemoteError) as caught:
        await promise
    assert caught.value.__notes__ == [dense._origin.note()]


# --- facts ---


@pytest.mark.asyncio
async def test_facts_are_shown(bridge: RecordingBridge) -> None:
    """Nothing before the worker has told; then whether it is built, and its parameters."""
    dense = keras.layers.Dense(3)
    assert (repr(dense), dense.name, dense.built) == ("<Dense units=3>", None, False)
    bridge.tell(dense_1={"name": "dense_7", "built": False, "parameters": None})
    await bridge.work()
    assert (repr(dense), dense.name) == ("<Dense units=3 not built>", "dense_7")
    promise = dense.build((None, 4))
    bridge.tell(dense_1=BUILT)
    await bridge.work()
    assert await promise is None  # type: ignore[func-returns-value]  # what is tested
    assert (repr(dense), dense.built) == ("<Dense units=3 built, 15 parameters>", True)


@pytest.mark.asyncio
async def test_other_ways_to_build_tell_facts(bridge: RecordingBridge) -> None:
    """A build from a config does, and quantizing changes them."""
    dense = keras.layers.Dense(3)
    dense.build_from_config({"input_shape": [None, 4]})
    dense.quantize("int8")
    assert [code.endswith("worker_models.state(dense_1))") for code in bridge.said(1)] == [True] * 2


def test_a_given_name_is_known_at_once() -> None:
    """Else it is Keras's to choose."""
    assert keras.layers.Dense(1, name="last").name == "last"
    assert keras.layers.Dense(1).name is None


# --- trainable ---


@pytest.mark.asyncio
@pytest.mark.usefixtures("no_bridge")
async def test_trainable_is_described_before_it_is_made(other_bridge: RecordingBridge) -> None:
    """It is as if the constructor had been told."""
    dense = keras.layers.Dense(1)
    assert dense.trainable is True
    dense.trainable = False
    assert dense.trainable is False
    assert dense == keras.layers.Dense(1, trainable=False)
    with other_bridge.current():
        keras.layers.TimeDistributed(dense)
    assert other_bridge.said()[0] == "dense_1 = keras.layers.Dense(1, trainable=False)"


@pytest.mark.asyncio
async def test_trainable_is_set_by_a_command(bridge: RecordingBridge) -> None:
    """Once it is made; what is read is what was set last here."""
    dense = keras.layers.Dense(1)
    dense.trainable = False
    assert dense.trainable is False
    assert bridge.said(1) == ["dense_1.trainable = False"]
    found = keras.layers.Dense.from_config({})
    found.trainable = False
    assert bridge.said(3) == ["dense_2.trainable = False"]
    with pytest.raises(TypeError, match=r"^Dense\.trainable must be bool, not 'no'$"):
        dense.trainable = "no"  # type: ignore[assignment]  # what is tested
    assert len(bridge.sent) == 4


@pytest.mark.asyncio
async def test_a_call_after_trainable_comes_after_it(bridge: RecordingBridge) -> None:
    """A failure to set it fails what follows, unseen as it is."""
    dense = keras.layers.Dense(1)
    await bridge.work()
    dense.trainable = False
    dense.count_params()
    assert [promise.command_id for promise in bridge.sent[-1].after] == [2]


# --- what it does ---


@pytest.mark.asyncio
async def test_methods_as_code(bridge: RecordingBridge) -> None:
    """They are Keras's own, and their values plain data."""
    dense = keras.layers.Dense(1)
    dense.get_config()
    dense.count_params()
    dense.compute_output_shape((None, 4))
    dense.get_weights()
    dense.get_build_config()
    assert bridge.said(1) == [
        "worker_models.plain(dense_1.get_config())",
        "worker_models.plain(dense_1.count_params())",
        "worker_models.plain(dense_1.compute_output_shape((None, 4)))",
        "worker_models.plain(dense_1.get_weights())",
        "worker_models.plain(dense_1.get_build_config())",
    ]


@pytest.mark.asyncio
async def test_attributes_are_awaited(bridge: RecordingBridge) -> None:
    """Each asks for the one of its name."""
    dense = keras.layers.Dense(1)
    for name in ("weights", "dtype", "trainable_variables", "path"):
        getattr(dense, name).promise()
        assert bridge.said(len(bridge.sent) - 1) == [f"worker_models.plain(dense_1.{name})"]


@pytest.mark.asyncio
async def test_weights_go_both_ways(bridge: RecordingBridge) -> None:
    """Lists become arrays, one binding each, in order."""
    dense = keras.layers.Dense(3)
    kernel = np.ones((2, 3))
    dense.set_weights([kernel, [0.0, 1.0, 2.0]])
    assert bridge.said(1) == ["dense_1.set_weights([weights_1, weights_2])"]
    first, second = bridge.sent[-1].bindings.values()
    assert first is kernel
    assert np.array_equal(np.asarray(second), [0.0, 1.0, 2.0])


@pytest.mark.asyncio
async def test_weights_have_names(bridge: RecordingBridge) -> None:
    """They are those of the variables' paths; some may be set, the others stay."""
    dense = keras.layers.Dense(3)
    promise = dense.named_weights()
    dense.set_named_weights({"dense/bias": [0.0, 1.0, 2.0]})
    assert bridge.said(1) == [
        "worker_models.named_weights(dense_1)",
        "worker_models.set_named_weights(dense_1, weights={'dense/bias': weights_1})",
    ]
    (bias,) = bridge.sent[-1].bindings.values()
    assert np.array_equal(np.asarray(bias), [0.0, 1.0, 2.0])
    await bridge.work(value={"dense/kernel": "array"})
    assert await promise == {"dense/kernel": "array"}


@pytest.mark.asyncio
async def test_what_keras_defines_for_all_layers(bridge: RecordingBridge) -> None:
    """A layer without its own method has the base's."""
    keras.Layer().compute_output_shape((None, 4))
    keras.Sequential([keras.layers.Dense(1)]).compute_output_shape((None, 4))
    said = [code for code in bridge.said() if "compute" in code]
    assert said == [
        "worker_models.plain(layer_1.compute_output_shape((None, 4)))",
        "worker_models.plain(sequential_1.compute_output_shape((None, 4)))",
    ]


def test_a_base_can_be_described() -> None:
    """``Layer`` is a class of Keras like others; so is ``Operation``."""
    assert repr(keras.Layer(name="a")) == "<Layer name='a'>"
    operation: Any = keras.Operation("b")
    assert repr(operation) == "<Operation name='b'>"
