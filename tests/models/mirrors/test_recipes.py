from __future__ import annotations

import operator
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import render
from asyncbridge.models import layers
from asyncbridge.models.mirrors.arguments import Arguments
from asyncbridge.models.mirrors.expressions import Code
from asyncbridge.models.mirrors.recipes import (
    asked_of,
    attribute_of,
    called,
    item_of,
    operation,
    sent_to,
)

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.recipes import Recipe

pytestmark = pytest.mark.usefixtures("no_bridge")


def arguments(*leading: object, **named: object) -> Arguments:
    """Return a call's arguments; those by position are called a, b, c."""
    return Arguments(leading=dict(zip("abc", leading, strict=False)), named=named)


def code_of(recipe: Recipe) -> str:
    """Return a recipe's code in which every layer is called ``layer``."""
    code = Code(lambda value: "layer" if isinstance(value, layers.Dense) else None)
    return render(code.program(recipe.expression(code)))


def test_a_constructor_or_function() -> None:
    """It is called by its full name, which the code imports."""
    inner = layers.Dense(3)
    recipe = called("keras.layers.TimeDistributed", arguments(inner, name="t"))
    assert code_of(recipe) == "import keras\nkeras.layers.TimeDistributed(layer, name='t')"
    assert recipe.label == "keras.layers.TimeDistributed"
    assert recipe.text() == "keras.layers.TimeDistributed(<Dense units=3>, name='t')"
    assert recipe.parts == (inner, "t")
    assert recipe.verb == "made"


def test_a_text_is_short() -> None:
    """Whatever the arguments are, errors can show it; arrays go by shape and dtype."""
    text = called("keras.layers.Dense", arguments(16, name="a" * 200, x=np.zeros(3))).text()
    assert text.startswith("keras.layers.Dense(16, name='aaa")
    assert text.endswith("x=<ndarray (3,) float64>)")
    assert len(text) < 150


def test_a_method_or_the_object_itself() -> None:
    """Without a method's name it is the object that is called."""
    dense = layers.Dense(3)
    built = sent_to(dense, "build", arguments((None, 4)))
    assert (code_of(built), built.label) == ("layer.build((None, 4))", "Dense.build")
    assert built.text() == "<Dense units=3>.build((None, 4))"
    applied = sent_to(dense, "", arguments("x", training=True))
    assert code_of(applied) == "layer('x', training=True)"
    assert (applied.label, applied.verb) == ("Dense.__call__", "called")
    assert applied.text() == "<Dense units=3>('x', training=True)"
    assert applied.parts == (dense, "x", {"training": True})


def test_a_function_on_the_workers_side() -> None:
    """It gets the object, and all else by name; errors show the mirror's method."""
    dense = layers.Dense(3)
    recipe = asked_of("fit", dense, "fit", arguments("x", epochs=2))
    assert code_of(recipe) == (
        "from asyncbridge.worker import models as worker_models\n"
        "worker_models.fit(layer, a='x', epochs=2)"
    )
    assert (recipe.label, recipe.text()) == ("Dense.fit", "<Dense units=3>.fit('x', epochs=2)")
    assert recipe.parts == (dense, "x", 2)


def test_an_item() -> None:
    """Slices and the ellipsis are Python's own between the brackets."""
    dense = layers.Dense(3)
    assert code_of(item_of(dense, 0)) == "layer[0]"
    assert code_of(item_of(dense, (slice(None, 2), ..., None))) == "layer[:2, ..., None]"
    assert item_of(dense, "a").text() == "<Dense units=3>['a']"
    assert item_of(dense, "a").parts == (dense, "a")


def test_an_attribute() -> None:
    """Several names go deeper."""
    dense = layers.Dense(3)
    recipe = attribute_of(dense, "kernel", "shape")
    assert (code_of(recipe), recipe.label) == ("layer.kernel.shape", "Dense.kernel.shape")
    assert (recipe.text(), recipe.parts) == ("<Dense units=3>.kernel.shape", (dense,))


def test_an_operator() -> None:
    """It stands between its operands, or before the only one."""
    dense = layers.Dense(3)
    difference = operation("-", operator.sub, 1, dense, owner=dense)
    assert code_of(difference) == "1 - layer"
    assert (difference.label, difference.text()) == ("Dense -", "1 - <Dense units=3>")
    negative = operation("-", lambda node: -node, dense, owner=dense)
    assert (code_of(negative), negative.text()) == ("-layer", "-<Dense units=3>")
    assert negative.parts == (dense,)
