"""Shipments: whose name means what, what is imported, and what goes in which order."""

from __future__ import annotations

import collections.abc as mirrored
import functools
import os
import sys
import types
import xml.etree.ElementTree  # noqa: ICN001 - the long name is what is tested
from collections import OrderedDict as OrderedAlias
from collections.abc import Sized
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest

from asyncbridge.codegen import Source, render
from asyncbridge.codegen.shipment import Shipment
from asyncbridge.errors import CodegenError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

factor = 2
program = types.ModuleType("__main__")
registered: list[str] = []


def shipped(function: object, modules: dict[str, str] | None = None) -> tuple[str, Shipment]:
    """Return the factory's source and its shipment."""
    shipment = Shipment(modules or {})
    return shipment.factory(function), shipment


def made(function: object) -> Callable[..., object]:
    """Return the function that the factory makes, in a namespace of its own."""
    source, shipment = shipped(function)
    namespace: dict[str, object] = {}
    exec(source, namespace)
    factory = namespace[shipment.name]
    assert callable(factory)
    result = factory(*shipment.bindings.values())
    assert isinstance(result, types.FunctionType | functools.partial)
    return result


@pytest.fixture
def other(tmp_path: Path) -> types.ModuleType:
    """A module of the user's, with names of its own."""
    path = tmp_path / "other_module.py"
    path.write_text(
        "factor = 10\n"
        "def by(x):\n    return x * factor\n"
        "def by_sum(xs):\n    return sum(xs)\n"
        "def by_local(factor_):\n    return [factor for _ in factor_]\n"
        "def clash(x):\n    y = [factor for factor in [x]]\n    return y, (lambda: factor)()\n"
        "def lost():\n    return absent\n"
    )
    module = types.ModuleType("other_module")
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module


def test_a_name_with_two_meanings_keeps_both(other: types.ModuleType) -> None:
    """Two modules' variables of one name do not meet in the factory."""
    by, by_local = other.by, other.by_local

    def both(x: int) -> object:
        return x * factor, by(x), by_local([x])

    assert made(both)(3) == (6, 30, [10]) == both(3)


def test_a_builtin_that_somebody_else_replaced_stays(other: types.ModuleType) -> None:
    """A variable named like a builtin does not reach the functions that mean the builtin."""
    by_sum = other.by_sum

    def sum(xs: list[int]) -> str:  # noqa: A001 - the case itself
        return "mine"

    def first_mine(xs: list[int]) -> object:
        return by_sum(xs), sum(xs)

    def first_builtin(xs: list[int]) -> object:
        return sum(xs), by_sum(xs)

    for function in (first_mine, first_builtin):
        assert made(function)([1, 2]) == function([1, 2])


def test_a_name_that_cannot_be_told_apart_is_refused(other: types.ModuleType) -> None:
    """Where a clashing name is also a local one, or nobody's here, the error says to rename."""
    worse, lost = other.clash, other.lost
    absent = 1

    def uses_clash(x: int) -> object:
        return factor, worse(x)

    def uses_lost() -> object:
        return absent, lost()

    for function in (uses_clash, uses_lost):
        with pytest.raises(CodegenError, match="mean different things"):
            shipped(function)


def test_names_of_nobody_are_left_to_the_worker(other: types.ModuleType) -> None:
    """An unknown name raises ``NameError`` when the worker runs it, as it would here."""
    with pytest.raises(NameError, match="absent"):
        made(other.lost)()


def test_the_root_may_share_its_name() -> None:
    """A function that uses another value under its own name gets both."""

    def maker() -> Callable[[], int]:
        function = 5
        return lambda: function

    assert made(maker())() == 5


def test_classes_of_installed_modules_are_imported() -> None:
    """A class of the standard library is imported from there; an own class is a value."""

    class Own:
        pass

    def function() -> object:
        return Fraction(1, 2), OrderedAlias(), Own

    source, shipment = shipped(function)
    assert "from fractions import Fraction\n" in source
    assert "from collections import OrderedDict as OrderedAlias\n" in source
    assert list(shipment.bindings.values()) == [Own]


def test_nested_names_are_imported() -> None:
    """What stands within a class is reached through it."""
    limit_denominator = Fraction.limit_denominator

    def function(x: Fraction) -> object:
        return limit_denominator(x, 10)

    source, shipment = shipped(function)
    assert "from fractions import Fraction as Fraction_" in source
    assert not shipment.bindings
    assert made(function)(Fraction(1, 3)) == Fraction(1, 3)


def test_recursion_under_another_name() -> None:
    """A function that is reached under an alias still finds itself under its own name."""

    def down(n: int) -> int:
        return n if n == 0 else down(n - 1)

    alias = down

    def function() -> int:
        return alias(3)

    assert made(function)() == 0


def test_modules_may_have_another_name_in_the_worker() -> None:
    """A mirror's module, and what is imported from it, go by the worker's names."""

    def function() -> object:
        return mirrored.Sized, Sized

    source, _ = shipped(function, {"collections": "kollections"})
    assert "import kollections.abc as mirrored\n" in source
    assert "from kollections.abc import Sized\n" in source


def test_the_programs_own_module_is_refused() -> None:
    """``__main__`` here is not ``__main__`` there."""

    def function() -> object:
        return program

    with pytest.raises(CodegenError, match="program's own module"):
        shipped(function)


def test_an_empty_cell_is_refused() -> None:
    """A variable that is not assigned yet has no value to send."""

    def function() -> object:
        return later

    with pytest.raises(CodegenError, match=r"'later' of .* has no value yet"):
        shipped(function)
    later = 1


def test_one_function_under_two_names_is_shipped_once() -> None:
    """An alias stays the same object."""

    def helper() -> int:
        return 1

    alias = helper

    def function() -> bool:
        return alias is helper

    source, _ = shipped(function)
    assert source.count("return 1") == 1
    assert made(function)() is True


def test_partials_of_functions_still_being_written_come_after_them() -> None:
    """What runs at once waits for what it needs."""

    def function(n: int) -> int:
        return n if n <= 0 else again()

    again = functools.partial(function, -1)
    assert made(function)(3) == -1


def test_what_needs_itself_at_once_is_refused() -> None:
    """No order helps a function that is its own default."""

    def function(n: int, then: object = None) -> object:
        return then

    function.__defaults__ = (function,)
    with pytest.raises(CodegenError, match="needed for its own definition"):
        shipped(function)


def register(function: Callable[[], int]) -> Callable[[], int]:
    """Note a function's name and return the function."""
    registered.append(function.__name__)
    return function


@register
def noted() -> int:
    """Be noted."""
    return 1


def test_decorators_apply_again_to_what_goes_by_its_own_name() -> None:
    """A decorator that returned the function is applied again in the worker."""
    source, shipment = shipped(noted)
    assert "@register\n    def noted():" in source
    assert registered in shipment.bindings.values()


def wrapped(function: Callable[[], int]) -> Callable[[], int]:
    """Add one, and keep no trace of the function but the closure."""

    def wrapper() -> int:
        return function() + 1

    return wrapper


@wrapped
def incremented() -> int:
    """Be wrapped."""
    return 1


def test_decorators_do_not_apply_twice() -> None:
    """The function within a wrapper is what its decorator was given."""
    assert made(incremented)() == 2


def test_decorators_out_of_reach_are_refused() -> None:
    """A decorator that the function itself does not see cannot be applied again."""

    def local(function: Callable[[], int]) -> Callable[[], int]:
        return function

    @local
    def function() -> int:
        return 1

    with pytest.raises(CodegenError, match=r"the decorator 'local' .* is out of reach"):
        shipped(function)


def test_a_cache_made_by_a_call_is_a_value() -> None:
    """A wrapper whose making no source shows is a binding, for serialization to judge."""
    cached = functools.lru_cache(maxsize=1)(noted)

    def function() -> object:
        return cached

    _, shipment = shipped(function)
    assert list(shipment.bindings.values()) == [cached]


def test_submodules_are_imported_where_they_are_used() -> None:
    """What ``import a.b`` gave the user's ``a`` is there in the worker too."""
    assert "xml.etree.ElementTree" in sys.modules

    def function() -> object:
        return xml.etree.ElementTree.fromstring("<a/>").tag, os.sep

    source, _ = shipped(function)
    assert "import xml.etree as submodule_" in source
    assert "import xml.etree.ElementTree as submodule_" in source


def test_the_source_is_a_node() -> None:
    """The factory's source is what rendering gives for it."""
    source, _ = shipped(noted)
    assert render(Source(source)) == source
