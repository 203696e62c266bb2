from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge import models as keras
from asyncbridge.errors import BridgeClosed
from asyncbridge.models.mirrors.functions import given, keras_function
from asyncbridge.models.mirrors.remote import RemoteObject
from asyncbridge.models.mirrors.tensor import KerasTensor
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


@keras_function("keras.ops.scale")
def scale(x: object, factor: float = 1.0, *others: object, **options: object) -> Any:
    """A mirrored function."""
    return locals()


@keras_function("keras.applications.Tiny", returns=keras.Model)
def tiny(classes: int = 1000) -> keras.Model:
    """One whose result stays in the worker."""
    return given(locals())  # type: ignore[no-any-return]  # as in what is generated


def test_a_function_keeps_its_signature() -> None:
    """Editors and ``help`` see Keras's own; as an argument it stands for Keras's function."""
    assert str(inspect.signature(scale)).startswith("(x: 'object', factor: 'float' = 1.0, *others")
    assert (scale.__name__, scale.__doc__) == ("scale", "A mirrored function.")
    assert scale.keras_name == "keras.ops.scale"  # type: ignore[attr-defined]  # an attribute of ours


@pytest.mark.asyncio
async def test_with_data_it_is_a_command(bridge: RecordingBridge) -> None:
    """Arrays are bound, mirrors and bindings named; the promise gets tensors as arrays."""
    scale(keras.layers.Dense(1))
    scale(Binding("mine", "eternal"), 2)
    scale([1], 1.0, 2, mask=3)
    promise = scale(np.zeros(3))
    assert bridge.said(1) == [
        "worker_models.plain(keras.ops.scale(dense_1))",
        "worker_models.plain(keras.ops.scale(mine, factor=2))",
        "worker_models.plain(keras.ops.scale(x_1, 1.0, 2, mask=3))",
        "worker_models.plain(keras.ops.scale(x_1))",
    ]
    assert bridge.sent[-1].label == "keras.ops.scale"
    await bridge.work(value=(3,))
    assert await promise == (3,)


@pytest.mark.usefixtures("no_bridge")
def test_with_data_it_needs_a_bridge() -> None:
    """The error names the function by its full name."""
    with pytest.raises(BridgeClosed, match=r"^keras\.ops\.scale\(\) needs an open bridge"):
        scale([1])


@pytest.mark.asyncio
async def test_with_a_symbolic_tensor_it_is_a_node(bridge: RecordingBridge) -> None:
    """It may stand anywhere in the arguments, at any depth."""
    tensor = keras.Input((4,))
    nodes = [scale(tensor), scale(1, 2.0, [tensor]), scale(1, mask={"a": (tensor,)})]
    assert all(isinstance(node, KerasTensor) for node in nodes)
    assert bridge.said(1) == [
        "kerastensor_2 = keras.ops.scale(kerastensor_1)",
        "kerastensor_3 = keras.ops.scale(1, 2.0, [kerastensor_1])",
        "kerastensor_4 = keras.ops.scale(1, mask={'a': (kerastensor_1,)})",
    ]


@pytest.mark.usefixtures("no_bridge")
def test_a_node_may_be_a_description() -> None:
    """A graph is put together with nothing open."""
    node = keras.ops.relu(keras.Input((4,)))
    assert isinstance(node, KerasTensor)
    assert repr(node) == "<KerasTensor keras.ops.relu(<KerasTensor>)>"


@pytest.mark.usefixtures("no_bridge")
def test_the_number_of_results_follows_from_the_arguments() -> None:
    """So that they can be unpacked at once."""
    tensor = keras.Input((4,))
    values, indices = keras.ops.top_k(tensor, 2)
    assert all(isinstance(one, KerasTensor) for one in (values, indices))
    parts = keras.ops.split(tensor, 3, axis=1)
    assert (type(parts), len(parts)) == (list, 3)
    assert len(keras.ops.meshgrid(tensor, tensor)) == 2


@pytest.mark.asyncio
async def test_what_stays_in_the_worker_is_a_mirror(bridge: RecordingBridge) -> None:
    """It is made as others are: at once with a bridge, else when it is needed."""
    model = tiny(classes=10)
    assert type(model) is keras.Model
    assert bridge.said() == ["model_1 = keras.applications.Tiny(classes=10)"]
    assert dict(model.arguments) == {}


@pytest.mark.usefixtures("no_bridge")
def test_what_stays_there_may_be_a_description() -> None:
    """Nothing is asked of a bridge until it is used."""
    assert repr(tiny()) == "<Model keras.applications.Tiny()>"
    assert tiny().bridge is None


@pytest.mark.asyncio
async def test_what_a_function_gives_without_a_class(bridge: RecordingBridge) -> None:
    """It is an object that other calls take, and that can be called."""
    made = keras.losses.deserialize({"class_name": "Hinge", "config": {}})
    assert type(made) is RemoteObject
    made([1.0], [2.0])
    assert bridge.said(1) == ["worker_models.plain(remoteobject_1(args_0_1, args_1_1))"]


def test_arguments_are_checked() -> None:
    """What has no wire form, and names that Keras has not, are TypeErrors at the call."""
    with pytest.raises(TypeError, match=r"^scale\(\) argument 'x'.*no wire form"):
        scale(object())
    with pytest.raises(TypeError, match=r"^scale\(\) argument 'options'.*no wire form"):
        scale(1, mask=object())
    with pytest.raises(TypeError, match="unexpected keyword argument 'axes'"):
        keras.ops.split([1], 1, axes=0)  # type: ignore[call-arg]  # what is tested
