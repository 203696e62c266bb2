from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from asyncbridge.codegen import Name, render
from asyncbridge.models.mirrors.bodies import as_it_is, assigning, nothing, plain
from asyncbridge.models.mirrors.expressions import Code

if TYPE_CHECKING:
    from asyncbridge.models.mirrors.bodies import Body

HEAD = "from asyncbridge.worker import models as worker_models\n"


def code_of(body: Body, node: Name) -> str:
    """Render the command that a body makes of a node."""
    code = Code(lambda value: None)
    return render(code.program(*body(code, node)))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (plain, f"{HEAD}worker_models.plain(x)"),
        (as_it_is, "x"),
        (nothing, "x\nNone"),
        (assigning(False, "x"), "x = False\nNone"),
    ],
)
def test_each_body_is_this_code(body: Body, expected: str) -> None:
    """The value of the last line is the command's."""
    assert code_of(body, Name("x")) == expected


def test_a_value_that_is_no_literal_is_bound() -> None:
    """It goes beside the code, under a name of its own."""
    code = Code(lambda value: None)
    render(code.program(*assigning([0.5] * 100, "rate")(code, Name("x"))))
    assert list(code.bindings.values()) == [[0.5] * 100]
