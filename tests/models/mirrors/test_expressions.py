from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest

from asyncbridge.codegen import Assign, Name, render
from asyncbridge.models.layers import Dense
from asyncbridge.models.mirrors.arguments import Arguments
from asyncbridge.models.mirrors.expressions import MAX_ITEMS, MAX_TEXT, Code
from asyncbridge.models.utils import set_random_seed
from asyncbridge.references.binding import Binding

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.mirror import Mirror


def code_of(value: object) -> tuple[str, dict[str, object]]:
    """Return a value's code, binding names cut to their stems, and the bindings by stem."""
    code = Code(lambda item: "dense_a" if isinstance(item, Dense) else None)
    # Assigned, because Python writes a string alone as a docstring.
    text = render(code.program(Assign(Name("_"), code.value(value, "x")))).replace("_ = ", "", 1)
    text = text.removeprefix("from asyncbridge.worker import models as worker_models\n")
    bindings = {name[:-26]: item for name, item in code.bindings.items()}
    return re.sub(r"x_[a-zA-F]{25}", "x", text), bindings


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (-16, "-16"),
        (0.01, "0.01"),
        ("sigmoid", "'sigmoid'"),
        (b"a", "b'a'"),
        ((4,), "(4,)"),
        ([], "[]"),
        ({"a": [1, (2.5, None)]}, "{'a': [1, (2.5, None)]}"),
    ],
)
def test_small_values_stand_in_the_code(value: object, text: str) -> None:
    """Plain values are literals, and nothing is bound."""
    assert code_of(value) == (text, {})


@pytest.mark.parametrize(
    "value",
    [
        "a" * (MAX_TEXT + 1),
        list(range(MAX_ITEMS + 1)),
        2**65,
        float("nan"),
        float("inf"),
        1j,
        {"a" * (MAX_TEXT + 1): 1},
        [{2**65: 1}],
        np.str_("a"),
    ],
)
def test_other_plain_values_are_bound(value: object) -> None:
    """Long or unusual values travel as they are, under a random name."""
    text, bindings = code_of(value)
    assert text == "x"
    assert bindings["x"] is value


def test_arrays_in_a_structure_are_bound_one_by_one() -> None:
    """The code writes out the structure; each array has a binding of its own."""
    code = Code(lambda _: None)
    text = render(code.value({"a": np.zeros(1), "b": [np.ones(1), 2]}, "x"))
    assert re.fullmatch(r"\{'a': x_\w{25}, 'b': \[x_\w{25}, 2\]\}", text)
    assert [item.tolist() for item in code.bindings.values()] == [[0.0], [1.0]]  # type: ignore[attr-defined]  # they are arrays


def test_what_is_in_the_worker_goes_by_its_name() -> None:
    """Mirrors and bindings, alone or in containers, are names, and nothing is bound."""
    assert code_of([Dense(1), Binding("mine", "eternal")]) == ("[dense_a, mine]", {})


def test_keras_own_functions_go_by_their_full_name() -> None:
    """A mirrored class or function stands for Keras's, which the code imports."""
    assert code_of([set_random_seed]) == ("import keras\n[keras.utils.set_random_seed]", {})

    def pick(_: object) -> str | None:
        return None

    code = Code(pick)
    kind: type[Mirror] = Dense
    assert render(code.program(code.value(kind, "x"))) == "import keras\nkeras.layers.Dense"


def test_a_call_has_its_arguments_in_order() -> None:
    """Those by position come first, then the named ones."""
    code = Code(lambda _: None)
    arguments = Arguments(leading={"a": 1, "b": "x"}, named={"c": None})
    assert render(code.call(Name("f"), arguments)) == "f(1, 'x', c=None)"


def test_a_binding_is_named_after_its_argument() -> None:
    """A reader of the code sees what each value is for."""
    code = Code(lambda _: None)
    arguments = Arguments(leading={"x": np.zeros(1)}, named={"sample_weight": np.ones(1)})
    text = render(code.call(Name("f"), arguments))
    assert re.fullmatch(r"f\(x_\w{25}, sample_weight=sample_weight_\w{25}\)", text)


@pytest.mark.parametrize("name", ["x", "y_true", "args_0"])
@pytest.mark.parametrize("data", [[1], "word", [["a"], [2.5]]])
def test_data_does_not_stand_in_the_code(name: str, data: object) -> None:
    """However little it is: tracebacks show the code."""
    code = Code(lambda item: "dense_a" if isinstance(item, Dense) else None)
    arguments = Arguments(leading={name: data, "axis": [0]}, named={"mode": "same"})
    text = render(code.program(code.call(Name("f"), arguments)))
    (bound,) = code.bindings
    ours = "from asyncbridge.worker import models as worker_models\n"
    assert text == f"{ours}f({bound}, [0], mode='same')"
    assert list(code.bindings.values()) == [data]


def test_mirrors_among_data_go_by_name() -> None:
    """A list of them is written out, as it must be."""
    code = Code(lambda item: "dense_a" if isinstance(item, Dense) else None)
    arguments = Arguments(leading={"x": [Dense(2), [1]]}, named={})
    assert render(code.program(code.call(Name("f"), arguments))) == "f([dense_a, [1]])"


def test_functions_made_for_mirrors_are_imported_once() -> None:
    """The import stands before the body, beside Keras's, however often they are called."""
    code = Code(lambda _: None)
    calls = [code.worker("plain").call(code.keras("keras.ops.abs").call(n)) for n in (1, 2)]
    assert render(code.program(*calls)) == (
        "from asyncbridge.worker import models as worker_models\n"
        "import keras\n"
        "worker_models.plain(keras.ops.abs(1))\n"
        "worker_models.plain(keras.ops.abs(2))"
    )


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (0, "a[0]"),
        ("b", "a['b']"),
        (slice(None), "a[:]"),
        (slice(1, -1, 2), "a[1:-1:2]"),
        ((..., None, slice(3)), "a[..., None, :3]"),
        (Dense(1), "a[dense_a]"),
        (slice(Dense(1), None), "a[dense_a:]"),
    ],
)
def test_an_index_is_written_as_python_does(key: object, text: str) -> None:
    """Slices, tuples and the ellipsis are no values of the wire, and stand in the code."""
    code = Code(lambda item: "dense_a" if isinstance(item, Dense) else None)
    assert render(Name("a")[code.index(key)]) == text
    assert code.bindings == {}


def test_large_structures_of_plain_values_are_bound_whole() -> None:
    """With an array in it, the structure is written out, and so are its small parts."""
    text, bindings = code_of([list(range(MAX_ITEMS + 1)), 1])
    assert text == "x"
    assert len(bindings) == 1
    text, _ = code_of([[1, 2], np.zeros(1)])
    assert text == "[[1, 2], x]"


def test_calls_of_one_kind_are_the_same_code() -> None:
    """The names of bindings are random, and come again: the worker compiles one program."""
    codes = [Code(lambda value: None) for _ in range(2)]
    texts = [render(code.value([np.ones(1), np.zeros(2)], "x")) for code in codes]
    assert texts[0] == texts[1]
    assert len(codes[0].bindings) == 2
    assert all(len(name) == len("x_") + 25 for name in codes[0].bindings)
