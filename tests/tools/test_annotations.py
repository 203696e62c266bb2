from __future__ import annotations

import pytest

from tools.annotations import annotate
from tools.surface import Parameter


@pytest.mark.parametrize(
    ("name", "default", "constructor", "function"),
    [
        ("use_bias", "True", "bool", "bool"),
        ("units", None, "int", "object"),
        ("groups", "1", "int", "object"),
        ("lora_rank", "None", "int | None", "object"),
        ("rate", None, "float", "object"),
        ("epsilon", "1e-07", "float", "object"),
        ("weight_decay", "0.004", "float | None", "object"),
        ("weight_decay", "None", "float | None", "object"),
        ("dropout", "0", "float", "object"),
        ("name", "None", "str | None", "str | None"),
        ("name", "'accuracy'", "str | None", "str | None"),
        ("name", None, "object", "object"),
        ("padding", "'valid'", "str", "object"),
        ("padding", "((1, 1), (1, 1))", "object", "object"),
        ("padding", "1", "object", "object"),
        ("strides", "(1, 1)", "object", "object"),
        ("learning_rate", "0.001", "object", "object"),
        ("kernel_initializer", "'zeros'", "object", "object"),
        ("dtype", "None", "object", "object"),
    ],
)
def test_what_a_default_and_a_name_tell(
    name: str, default: str | None, constructor: str, function: str
) -> None:
    """Doubt is object; numbers are said of constructors alone."""
    parameter = Parameter(name=name, kind="POSITIONAL_OR_KEYWORD", default=default)
    assert annotate(parameter, constructor=True) == constructor
    assert annotate(parameter, constructor=False) == function


def test_what_takes_many_is_object() -> None:
    """A name of the table says nothing of ``*units``."""
    assert annotate(Parameter(name="units", kind="VAR_POSITIONAL"), constructor=True) == "object"
