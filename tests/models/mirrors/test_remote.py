from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.arguments import Arguments
from asyncbridge.models.mirrors.recipes import called
from asyncbridge.models.mirrors.remote import RemoteObject
from asyncbridge.models.mirrors.tensor import KerasTensor

if TYPE_CHECKING:
    from tests.models.conftest import RecordingBridge


def make() -> RemoteObject:
    """Return what a function of Keras gave."""
    return RemoteObject._from(called("keras.make", Arguments(leading={}, named={})))


def test_it_has_no_constructor() -> None:
    """Only a function of Keras makes one."""
    with pytest.raises(TypeError, match=r"^a RemoteObject is what a function of Keras gives$"):
        RemoteObject()


@pytest.mark.asyncio
async def test_it_is_an_argument(bridge: RecordingBridge) -> None:
    """It goes by its name, and tells how it was made."""
    made = make()
    keras.layers.Activation(made)
    assert repr(made) == "<RemoteObject keras.make()>"
    assert bridge.said() == [
        "remoteobject_1 = keras.make()",
        "activation_1 = keras.layers.Activation(remoteobject_1)",
    ]


@pytest.mark.asyncio
async def test_it_can_be_called(bridge: RecordingBridge) -> None:
    """With data it promises, with a symbolic tensor it makes a node."""
    made = make()
    made([1.0], axis=0)
    node = made(keras.Input((4,)))
    assert type(node) is KerasTensor
    assert bridge.said(1) == [
        "worker_models.plain(remoteobject_1(args_0_1, axis=0))",
        "kerastensor_1 = keras.Input(shape=(4,))",
        "kerastensor_2 = remoteobject_1(kerastensor_1)",
    ]
