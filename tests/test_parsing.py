"""Source to syntax tree."""

from __future__ import annotations

import ast

import pytest

from asyncbridge import parsing
from asyncbridge.parsing import parse


def test_it_is_what_ast_gives() -> None:
    """The same tree, under the given file name."""
    assert ast.dump(parse("a = 1\nb(a)")) == ast.dump(ast.parse("a = 1\nb(a)"))
    with pytest.raises(SyntaxError) as caught:
        parse("a = (", "there.py")
    assert caught.value.filename == "there.py"


def test_a_disturbed_parser_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython's own mistake is not the source's; a second one in a row is raised."""
    results: list[ast.Module | SystemError] = [SystemError("depth mismatch"), ast.parse("1")]

    def disturbed(_source: str, _filename: str) -> ast.Module:
        result = results.pop(0)
        if isinstance(result, SystemError):
            raise result
        return result

    monkeypatch.setattr(parsing, "_parse", disturbed)
    assert ast.dump(parse("1")) == ast.dump(ast.parse("1"))
    results[:] = [SystemError("depth mismatch"), SystemError("depth mismatch")]
    with pytest.raises(SystemError):
        parse("1")
