from __future__ import annotations

from dataclasses import replace

import pytest

from asyncbridge import models
from tools.compare_surface import MISSING, compare, mirror
from tools.surface import Object, Parameter, Surface

RATE = Parameter(name="alpha", kind="POSITIONAL_OR_KEYWORD", default="1.0")
X = Parameter(name="x", kind="POSITIONAL_OR_KEYWORD")
ELU = Object(
    key="keras.activations.elu", names=("keras.activations.elu",), name="elu",
    module="keras.src.activations", is_class=False, parameters=(X, RATE),
)  # fmt: skip
NON_NEG = Object(
    key="keras.constraints.NonNeg", names=("keras.constraints.NonNeg", "keras.constraints.non_neg"),
    name="NonNeg", module="keras.src.constraints", is_class=True, parameters=(),
)  # fmt: skip


def differences(*objects: Object) -> list[str]:
    """Compare a surface of these objects alone."""
    return compare(
        Surface(version="x", modules=("keras.constraints",), objects=objects)
    ).differences


def test_equals_are_silent() -> None:
    """A function and a class that are as they should be."""
    assert differences(ELU, NON_NEG) == []


@pytest.mark.parametrize(
    ("item", "difference"),
    [
        (replace(ELU, key="keras.activations.elo", names=("keras.activations.elo",)), "is missing"),
        (replace(ELU, names=(*ELU.names, "keras.activations.relu")), "relu is not keras"),
        (replace(ELU, parameters=(X,)), "has ['alpha=1.0 positional_or_keyword'], lacks []"),
        (replace(ELU, parameters=(RATE, X)), "has another order"),
        (replace(ELU, is_class=True), "is no class"),
        (replace(ELU, names=("keras.activations.selu",)), "elu is called keras.activations.elu"),
        (replace(NON_NEG, members={"adapt": ()}), "NonNeg.adapt is no method"),
        (replace(NON_NEG, members={"kernel": None}), "NonNeg.kernel is no property"),
    ],
)
def test_each_kind_of_difference_is_found(item: Object, difference: str) -> None:
    """The comparison would see what it looks for."""
    assert any(difference in line for line in differences(item))


def test_a_lost_base_is_found() -> None:
    """A class must inherit from what it inherits from in Keras."""
    found = differences(NON_NEG, replace(NON_NEG, key="keras.constraints.MaxNorm",
        names=("keras.constraints.MaxNorm",), mro=("keras.constraints.NonNeg",)))  # fmt: skip
    assert any("MaxNorm inherits []" in line for line in found)


def test_names_are_looked_up_from_the_root() -> None:
    """What is not there is the marker."""
    assert mirror("keras.layers.Dense") is models.layers.Dense
    assert mirror("keras.layers.Nothing.at_all") is MISSING
