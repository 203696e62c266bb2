from __future__ import annotations

from typing import Any

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.overrides import refuse_overrides


def subclass(base: type, *names: str) -> type:
    """Return a class of the user's that has methods of these names."""

    def method(self: object) -> Any: ...

    return type("Own", (base,), dict.fromkeys(names, method))


@pytest.mark.parametrize(
    ("base", "name"),
    [
        (keras.Layer, "call"),
        (keras.Layer, "compute_mask"),
        (keras.layers.Dense, "build"),
        (keras.layers.Dense, "get_config"),
        (keras.Model, "train_step"),
        (keras.Sequential, "compute_loss"),
        (keras.callbacks.Callback, "on_epoch_end"),
        (keras.callbacks.EarlyStopping, "on_train_begin"),
        (keras.optimizers.Adam, "update_step"),
        (keras.constraints.Constraint, "__call__"),
        (keras.initializers.Initializer, "__call__"),
        (keras.Metric, "update_state"),
    ],
)
def test_what_keras_calls_cannot_be_the_users(base: type, name: str) -> None:
    """It would have to run in the worker, which has only Keras's own class."""
    with pytest.raises(TypeError) as caught:
        refuse_overrides(subclass(base, name))
    assert str(caught.value) == (
        f"Own.{name}() would have to run in the worker, where Keras calls it: define the class "
        "there, with bridge.send() or bridge.run()"
    )


def test_an_inherited_override_is_found() -> None:
    """However deep the user's classes are, the error names the one that has it."""
    with pytest.raises(TypeError, match=r"^Own\.call\(\)"):
        refuse_overrides(type("Further", (subclass(keras.Layer, "call"),), {}))


def test_what_the_user_calls_himself_may_be_added() -> None:
    """A constructor, a repr, properties and methods of new names run here."""
    kind = subclass(keras.layers.Dense, "__init__", "__repr__", "double")
    kind.tag = "a"  # type: ignore[attr-defined]  # a class attribute of the user's
    refuse_overrides(kind)
    refuse_overrides(keras.layers.Dense)


def test_what_the_app_calls_may_be_added_to() -> None:
    """Keras never calls ``fit``: a subclass may wrap it on this side."""

    class Own(keras.Sequential):
        def fit(self, *args: Any, **kwargs: Any) -> Any:
            return super().fit(*args, **kwargs)

    refuse_overrides(Own)


def test_a_config_passes_no_override_by() -> None:
    """What is made of a config is refused as well."""

    class Own(keras.layers.Dense):
        def call(self, inputs: object) -> object:
            return inputs

    with pytest.raises(TypeError, match="call"):
        Own.from_config({"units": 3})
