from __future__ import annotations

import pytest

from asyncbridge import models as keras
from asyncbridge.models.mirrors.arguments import Arguments
from asyncbridge.models.mirrors.taking import is_symbolic, only_reads, take_call


def scale(x: object, factor: float = 1.0, *rest: object, **options: object) -> None:
    """Stand for a mirrored function."""


def test_what_must_be_said_is_taken() -> None:
    """What is given goes by position or by name; what is left out, or the default, is not said."""
    values = {"x": 3, "factor": 2, "rest": (), "options": {"mode": "a"}, "self": None}
    taken = take_call("scale", scale, values)
    assert taken == Arguments(leading={"x": 3}, named={"factor": 2.0, "mode": "a"})


def test_what_has_no_wire_form_is_refused() -> None:
    """The error names the function and the argument."""
    values = {"x": object(), "factor": 1.0, "rest": (), "options": {}}
    with pytest.raises(TypeError, match=r"^scale\(\) argument 'x': object of type object has no"):
        take_call("scale", scale, values)


def test_a_symbolic_tensor_is_found_at_any_depth() -> None:
    """In lists and dicts, by position and by name."""
    tensor = keras.Input((3,))
    assert is_symbolic(Arguments(leading={"x": [{"a": tensor}]}, named={}))
    assert is_symbolic(Arguments(leading={}, named={"x": tensor}))
    assert not is_symbolic(Arguments(leading={"x": [1, "a"]}, named={"y": keras.layers.Dense(1)}))


@pytest.mark.parametrize(
    ("method", "expected"),
    [("get_weights", True), ("save", True), ("adapt", False), ("fit", False)],
)
def test_methods_that_only_read(method: str, expected: bool) -> None:
    """What gives something and changes nothing is told by its name."""
    assert only_reads(method) is expected
