from __future__ import annotations

import numpy as np
import pytest

from asyncbridge.models import layers, utils
from asyncbridge.models.mirrors.wire import (
    carry,
    check,
    is_array,
    is_keras_own,
    is_remote,
    keras_name_of,
    leaves,
)
from asyncbridge.references.binding import Binding


def test_what_has_a_name_in_keras() -> None:
    """Mirrors, their classes and mirrored functions tell Keras's full name; nothing else does."""
    assert keras_name_of(layers.Dense(1)) == "keras.layers.Dense"
    assert keras_name_of(layers.Dense) == "keras.layers.Dense"
    assert keras_name_of(utils.set_random_seed) == "keras.utils.set_random_seed"
    assert keras_name_of(len) is None
    assert keras_name_of("keras.layers.Dense") is None


def test_what_goes_by_its_name_in_the_worker() -> None:
    """Bindings, mirrored classes and functions do; a mirror is an object to be made first."""
    assert is_remote(Binding("a", "eternal"))
    assert is_remote(Binding("a", "eternal").size)
    assert is_remote(layers.Dense)
    assert is_remote(utils.set_random_seed)
    assert not is_remote(layers.Dense(1))
    assert not is_remote(len)


def test_what_stands_for_keras_own() -> None:
    """Mirrored classes and functions do, a mirror stands for one object."""
    assert is_keras_own(layers.Dense)
    assert is_keras_own(utils.set_random_seed)
    assert is_keras_own(layers.Input)
    assert not is_keras_own(layers.Dense(1))
    assert not is_keras_own(len)


def test_arrays_are_known_by_what_they_have() -> None:
    """Arrays and numpy scalars are, lists and dtypes are not."""
    assert is_array(np.zeros(1))
    assert is_array(np.float32(1))
    assert not is_array([1])
    assert not is_array(np.dtype("f4"))


def test_a_symbolic_tensor_is_no_array() -> None:
    """It has a shape and a dtype, too, and goes by its name."""
    tensor = layers.Input((4,))
    assert hasattr(tensor, "shape")
    assert not is_array(tensor)
    assert carry([tensor], "x") == [tensor]


def test_leaves_are_what_containers_hold() -> None:
    """Lists, tuples and the values of dicts are walked, at any depth."""
    assert list(leaves([1, (2, [3]), {"a": {"b": 4}}, "xy"])) == [1, 2, 3, 4, "xy"]


def test_a_carried_value_is_a_snapshot() -> None:
    """Later changes to a list, dict or array do not show in what was kept."""
    array, inner = np.zeros(2), [1]
    kept = carry([array, {"a": inner}, (inner,)], "x")
    array[0] = inner[0] = 9
    assert repr(kept) == "[array([0., 0.]), {'a': [1]}, ([1],)]"


def test_mirrors_are_carried_as_they_are() -> None:
    """A mirror, a binding or a class is the very object, in a container too."""
    dense, binding = layers.Dense(1), Binding("a", "eternal")
    kept = carry([dense, binding, layers.Dense], "x")
    assert isinstance(kept, list)
    assert [id(item) for item in kept] == [id(dense), id(binding), id(layers.Dense)]


@pytest.mark.parametrize("refuse", [carry, check])
def test_what_has_no_wire_form_is_refused(refuse: object) -> None:
    """The error is a TypeError that says where in the arguments the value stands."""
    assert callable(refuse)
    with pytest.raises(TypeError, match=r"argument 'x'.*object of type object has no wire form"):
        refuse([1, {"a": object()}], "f() argument 'x'")


@pytest.mark.parametrize("refuse", [carry, check])
def test_functions_of_this_process_are_refused(refuse: object) -> None:
    """The error says how the worker gets one: the user's own loss, say."""
    assert callable(refuse)

    def own_loss() -> None: ...

    with pytest.raises(
        TypeError, match=r"^loss.*: own_loss is a function of this process.*bridge\.r"
    ):
        refuse([own_loss], "loss")
    with pytest.raises(TypeError, match=r"^loss: Own is a type of this process, and the worker"):
        refuse(type("Own", (), {}), "loss")


def test_values_with_a_wire_form_pass() -> None:
    """Scalars, numpy's and complex ones, sets and arrays are fine, and stay what they are."""
    for value in (None, 1, 1.5, "a", b"a", 1j, {1, 2}, np.float32(1), np.zeros(2)):
        check(value, "x")
        assert type(carry(value, "x")) is type(value)
