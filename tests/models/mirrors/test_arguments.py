from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.models.layers import Dense, Input
from asyncbridge.models.mirrors.arguments import (
    Arguments,
    Parameter,
    parameters_of,
    same,
    show,
    split,
    take,
)
from asyncbridge.references.binding import Binding

Doubled = Annotated[object, lambda value: [value, value]]


def sample(
    units: int,
    rate: float = 0.5,
    flag: bool = False,
    name: str | None = None,
    shape: tuple[int, int] | None = None,
    sizes: Sequence[int] | tuple[float, ...] | None = None,
    tags: list[str] | None = None,
    weights: Mapping[str, float] | dict[int, int] | None = None,
    mode: Literal["min", "max"] = "min",
    function: Callable[..., object] | None = None,
    doubled: Doubled = None,
    *,
    anything: object = None,
    any_at_all: Any = None,
) -> Unknown:  # type: ignore[name-defined]  # noqa: F821 - a return type that is not imported
    """Take one parameter of each kind."""
    raise NotImplementedError


PARAMETERS = parameters_of(sample)
DEFAULTS = {p.name: p.default for p in PARAMETERS} | {"units": 1}


def taken(**values: object) -> object:
    """Take one argument of the sample's, and return what is kept."""
    (name,) = values
    return take("sample", PARAMETERS, {**DEFAULTS, **values})[name]


def test_parameters_are_read_without_self() -> None:
    """A constructor's parameters come in order, with annotation and default."""
    first, second, *_ = parameters_of(Dense.__init__)
    assert first == Parameter(
        name="units",
        annotation=int,
        default=inspect.Parameter.empty,
        kind=inspect.Parameter.POSITIONAL_OR_KEYWORD,
        leading=True,
    )
    assert (second.name, second.default, second.leading) == ("activation", None, False)


@pytest.mark.parametrize(
    ("name", "value", "kept"),
    [
        ("units", np.int64(3), 3),
        ("rate", 1, 1.0),
        ("rate", np.float32(0.25), 0.25),
        ("rate", Fraction(1, 2), 0.5),
        ("flag", np.True_, True),
        ("flag", 1, 1),
        ("name", np.str_("a"), "a"),
        ("shape", (np.int32(1), 2), (1, 2)),
        ("sizes", [1, 2], [1, 2]),
        ("sizes", (1, 2), (1, 2)),
        ("sizes", (1.5,), (1.5,)),
        ("tags", ["a"], ["a"]),
        ("weights", {"a": 1}, {"a": 1.0}),
        ("weights", {1: 2}, {1: 2}),
        ("mode", "max", "max"),
        ("doubled", 1, [1, 1]),
        ("anything", 1.5, 1.5),
        ("any_at_all", "x", "x"),
        ("function", Dense, Dense),
    ],
)
def test_values_become_what_the_annotation_says(name: str, value: object, kept: object) -> None:
    """Numbers of numpy, and ints for floats, are kept as Python's own of the annotated type."""
    result = taken(**{name: value})
    assert result == kept
    assert type(result) is type(kept)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("units", True, "must be int, not bool: True"),
        ("units", 1.0, "must be int, not float: 1.0"),
        ("rate", False, "must be float, not bool: False"),
        ("rate", "a" * 1000, "must be float, not str: "),
        ("flag", 2, "must be bool, not int: 2"),
        ("name", 1, "must be str | None, not int: 1"),
        ("shape", (1, 2, 3), "must be tuple[int, int] | None, not tuple: (1, 2, 3)"),
        ("shape", [1, 2], "must be tuple[int, int] | None, not list: [1, 2]"),
        ("sizes", "12", "must be Sequence[int] | tuple[float, ...] | None, not str: '12'"),
        ("tags", ("a",), "must be list[str] | None, not tuple"),
        ("weights", [1], "must be Mapping[str, float] | dict[int, int] | None, not list: [1]"),
        ("mode", "mean", "must be 'min' | 'max', not str: 'mean'"),
        ("function", len, "must be a function of Keras | None, not builtin_function_or_method"),
    ],
)
def test_a_wrong_type_is_named(name: str, value: object, text: str) -> None:
    """The error says which argument of what, what it must be, and what it is, briefly."""
    with pytest.raises(TypeError) as caught:
        taken(**{name: value})
    message = str(caught.value)
    assert message.startswith(f"sample() argument {name!r} {text}")
    assert len(message) < 200


def test_a_value_error_of_a_conversion_is_placed() -> None:
    """What a conversion refuses is named with the call and the argument."""

    def refuse(value: object) -> object:
        raise ValueError("no")

    def fit(x: object) -> None: ...

    (parameter,) = (replace(p, annotation=Annotated[object, refuse]) for p in parameters_of(fit))
    with pytest.raises(ValueError, match=r"^fit\(\) argument 'x': no$"):
        take("fit", [parameter], {"x": 1})


def said(function: Callable[..., object], /, **values: object) -> tuple[object, object]:
    """Return what a call of the function says by position, and by name."""
    arguments = split(parameters_of(function), values)
    return arguments.leading, arguments.named


def test_a_call_says_what_differs_from_the_defaults() -> None:
    """Required arguments go by position, changed ones by name, equal ones not at all."""
    values = {**DEFAULTS, "rate": 0.75, "name": None, "anything": [1]}
    assert said(sample, **values) == ({"units": 1}, {"rate": 0.75, "anything": [1]})


def test_what_follows_a_gap_goes_by_name() -> None:
    """Data that comes after an argument that was left out cannot go by position."""

    def fit(x: Doubled = None, y: Doubled = None) -> None: ...

    assert said(fit, x=None, y=[1]) == ({}, {"y": [1]})
    assert said(fit, x=1, y=2) == ({"x": 1, "y": 2}, {})


def test_what_is_open_to_all_is_spread() -> None:
    """With ``*args``, all that may go by position does; ``**kwargs`` go by their own names."""

    def call(
        x: object, scale: float = 1.0, *args: object, training: bool = False, **kwargs: object
    ) -> None: ...

    values: dict[str, object] = {"x": 1, "scale": 1.0, "training": False, "kwargs": {"mask": 2}}
    assert said(call, **values, args=()) == ({"x": 1}, {"mask": 2})
    assert said(call, **values, args=(3, 4)) == (
        {"x": 1, "scale": 1.0, "args_0": 3, "args_1": 4},
        {"mask": 2},
    )


def test_arguments_are_all_that_is_said() -> None:
    """They can be walked, and written as a reader would, cut short."""
    arguments = Arguments(leading={"x": np.zeros(2), "units": 3}, named={"name": "a" * 200})
    first, *rest = arguments
    assert isinstance(first, np.ndarray)
    assert rest == [3, "a" * 200]
    assert arguments.text().startswith("<ndarray (2,) float64>, 3, name='aaa")
    assert len(arguments.text()) < 120


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@given(plain)
def test_a_value_is_the_same_as_its_copy(value: object) -> None:
    """Comparison goes by content, at any depth."""
    rebuilt = eval(repr(value), {"inf": float("inf")})  # a literal, as Hypothesis made it
    assert same(value, rebuilt)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (1, True),
        (1, 1.0),
        ((1,), [1]),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
        ({"a": 1}, {"a": 2}),
        (np.zeros(2), np.zeros(3)),
        (np.zeros(2), np.zeros(2, "float32")),
        (np.zeros(2), np.array([0.0, 1.0])),
        (Dense(1), Dense(2)),
        (Input((1,)), Input((2,))),
        (len, max),
    ],
)
def test_different_values_are_not_the_same(left: object, right: object) -> None:
    """Type, length, keys, dtype and every element count."""
    assert not same(left, right)


def test_arrays_compare_element_by_element() -> None:
    """Equal arrays are the same, dense and sparse, and so are lists of them."""
    assert same([np.arange(3)], [np.arange(3)])
    sparse = pytest.importorskip("scipy.sparse")
    assert same(sparse.csr_matrix(np.eye(2)), sparse.csr_matrix(np.eye(2)))
    assert not same(sparse.csr_matrix(np.eye(2)), sparse.csr_matrix(np.ones((2, 2))))


def test_inputs_compare_by_what_they_say() -> None:
    """Two descriptions of an input are the same; other tensors only by identity."""
    assert same([Input((4,))], [Input((4,), None)])
    tensor = Dense(1)(Input((4,)))
    assert same(tensor, tensor)
    assert not same(tensor, Dense(1)(Input((4,))))


def test_shown_values_are_short() -> None:
    """Arrays show shape and dtype, long values are cut, a mirror shows itself."""
    assert show(np.zeros((2, 3), "float32")) == "<ndarray (2, 3) float32>"
    assert len(show("a" * 1000)) <= 60
    assert show(Dense(3)) == "<Dense units=3>"
    assert show(Dense(3)(Input((4,)))) == "<KerasTensor>"
    assert show(type("Long", (), {"__repr__": lambda _: "x" * 500})()) == "<Long>"


def test_what_is_in_the_worker_is_of_any_type() -> None:
    """A binding, and code on one, stand for values that Keras alone can judge."""
    binding = Binding("size", "eternal")
    for value in (binding, binding.items[0]):
        assert taken(units=value) is value
