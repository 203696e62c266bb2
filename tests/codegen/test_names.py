"""Names: what is refused and why, and random names."""

from __future__ import annotations

import random

import pytest

from asyncbridge.codegen.names import check_identifier, check_module, random_name
from asyncbridge.errors import IdentifierError


@pytest.mark.parametrize(
    "name", ["x", "_x", "__x", "__", "match", "type", "résumé", "модель", "模型"]
)
def test_accepts(name: str) -> None:
    """Plain names, soft keywords, accents and whole words of another script pass unchanged."""
    assert check_identifier(name) == name


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "empty"),
        ("1x", "not a Python identifier"),
        ("a b", "not a Python identifier"),
        ("a.b", "not a Python identifier"),
        ("x)\nimport os", "not a Python identifier"),
        ("lambda", "keyword"),
        ("None", "keyword"),
        ("__class__", "belong to Python"),
        ("ﬁt", "would read it as 'fit'"),
        ("m\N{CYRILLIC SMALL LETTER O}del", "CYRILLIC SMALL LETTER O"),
        ("\N{GREEK SMALL LETTER ALPHA}x", "GREEK SMALL LETTER ALPHA"),
        ("f\N{LATIN SMALL LETTER DOTLESS I}t", "LATIN SMALL LETTER DOTLESS I"),
    ],
)
def test_refuses_with_reason(name: str, reason: str) -> None:
    """A refused name comes with the reason."""
    with pytest.raises(IdentifierError, match=reason):
        check_identifier(name)


@pytest.mark.parametrize("name", [None, 3, b"x", type("Text", (str,), {})("x")])
def test_refuses_what_is_no_plain_str(name: object) -> None:
    """A name is a str, and no subclass that could say something else later."""
    with pytest.raises(IdentifierError, match="must be a plain str"):
        check_identifier(name)


def test_dunder_is_opt_in() -> None:
    """A dunder passes only where it is asked for."""
    assert check_identifier("__class__", dunder=True) == "__class__"


def test_module_paths() -> None:
    """A dotted path passes when each part does."""
    assert check_module("keras.layers") == "keras.layers"
    for path in (".layers", "keras.", "keras.class", "__future__", ""):
        with pytest.raises(IdentifierError):
            check_module(path)
    with pytest.raises(IdentifierError, match="named by a str"):
        check_module(None)


def test_random_name_has_25_letters_after_its_prefix() -> None:
    """A random name is its prefix and 25 random letters, and an acceptable identifier."""
    name = random_name("model_")
    assert name.startswith("model_")
    assert len(name) == len("model_") + 25
    assert name.isidentifier()
    assert len({random_name() for _ in range(100)}) == 100


def test_random_name_refuses_a_bad_prefix() -> None:
    """A prefix that makes the name no identifier is refused."""
    with pytest.raises(IdentifierError):
        random_name("1-")


def test_random_name_source_is_injectable() -> None:
    """The same source gives the same name."""
    assert random_name(source=random.Random(7)) == random_name(source=random.Random(7))


def test_random_name_leaves_the_global_state_alone() -> None:
    """Drawing a name neither reads nor advances the program's own random state."""
    random.seed(7)
    state = random.getstate()
    first = random_name()
    assert random.getstate() == state
    random.seed(7)
    assert random_name() != first


@pytest.mark.parametrize(("name", "legible"), [("\u0430", False), ("\u0441\u043e\u043d", True)])
def test_a_word_that_is_all_lookalikes(name: str, legible: bool) -> None:
    """A name of another script passes unless every letter of it looks like an ASCII one."""
    if legible:
        assert check_identifier(name) == name
        return
    with pytest.raises(IdentifierError, match="CYRILLIC SMALL LETTER A"):
        check_identifier(name)
