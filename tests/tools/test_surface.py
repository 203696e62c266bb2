from __future__ import annotations

from typing import Any

from tools.surface import Object, Parameter, constructor, from_record, own_members


def init(
    owner: str,
    signature: str,
    *,
    given: tuple[str, ...] = (),
    passed: int = 0,
    forwards: bool = False,
    popped: dict[str, str] | None = None,
) -> dict[str, Any]:
    """Describe a constructor as the reader does: ``"units name=None *args **kwargs"``."""
    return {
        "owner": owner,
        "parameters": [parameter(word) for word in signature.split()],
        "given": list(given),
        "passed": passed,
        "forwards": forwards,
        "popped": popped or {},
    }


def parameter(word: str) -> dict[str, Any]:
    """Read one word of a signature."""
    kind = {"**": "VAR_KEYWORD", "*": "VAR_POSITIONAL"}.get(
        "*" * word.count("*"), "POSITIONAL_OR_KEYWORD"
    )
    name, _, default = word.strip("*").partition("=")
    return {"name": name, "kind": kind, "default": default or None}


def shown(parameters: tuple[Parameter, ...]) -> str:
    """Write a merged signature, keyword-only parameters after a star."""
    words = []
    for p in parameters:
        mark = {"KEYWORD_ONLY": "/", "VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(p.kind, "")
        words.append(f"{mark}{p.name}" + ("" if p.default is None else f"={p.default}"))
    return " ".join(words)


LAYER = init("Layer", "trainable=True name=None **kwargs", popped={"input_dim": "None"})


def test_kwargs_reach_the_bases() -> None:
    """What stands in the bases comes by name alone; a closed base ends the merge."""
    dense = init("Dense", "units use_bias=True **kwargs", forwards=True)
    assert (
        shown(constructor([dense, LAYER, init("Operation", "label=None")]))
        == "units use_bias=True /trainable=True /name=None /input_dim=None"
    )


def test_a_class_without_kwargs_ends_the_merge() -> None:
    """Nothing of its bases can be given."""
    assert shown(constructor([init("Closed", "units", forwards=True), LAYER])) == "units"


def test_what_the_class_gives_its_base_cannot_be_given() -> None:
    """By name as by position: a second value would be a TypeError there."""
    lstm = init("LSTM", "units **kwargs", given=("trainable",), passed=1, forwards=True)
    rnn = init("RNN", "cell unroll=False **kwargs", forwards=True)
    assert (
        shown(constructor([lstm, rnn, LAYER])) == "units /unroll=False /name=None /input_dim=None"
    )


def test_one_that_hands_on_everything_is_looked_through() -> None:
    """Its base's parameters are as good as its own, by position too."""
    through = init("TFOptimizer", "*args **kwargs", forwards=True)
    base = init("BaseOptimizer", "learning_rate name=None **kwargs", popped={"decay": "None"})
    assert shown(constructor([through, base])) == "learning_rate name=None"


def test_kwargs_of_unknown_names_stay() -> None:
    """Unless the table says that they reject what they hold."""
    assert shown(constructor([init("Config", "**kwargs")])) == "**kwargs"
    assert shown(constructor([init("Legacy", "*args **kwargs")])) == "*args **kwargs"
    assert shown(constructor([init("SeedGenerator", "seed=None **kwargs")])) == "seed=None"


def test_kwargs_that_go_on_in_another_way() -> None:
    """Model calls Layer's constructor by its class's name."""
    model = init("Model", "*args **kwargs")
    distiller = init("Distiller", "teacher name='distiller' **kwargs", forwards=True)
    trainer = init("Trainer", "")
    assert (
        shown(constructor([distiller, model, trainer, LAYER]))
        == "teacher name='distiller' /trainable=True /input_dim=None"
    )


def test_what_is_taken_out_of_kwargs_is_a_parameter() -> None:
    """With its default when that is a literal; else None, which is not sent."""
    popped = {"implementation": "2", "has_vocabulary": "vocabulary is not None"}
    cell = init("Cell", "units **kwargs", forwards=True, popped=popped)
    assert (
        shown(constructor([cell, init("Base", "")]))
        == "units /implementation=2 /has_vocabulary=None"
    )


def test_no_constructor_has_no_parameters() -> None:
    """As of a class that inherits from object alone."""
    assert constructor([]) == ()


def thing(key: str, mro: tuple[str, ...], members: dict[str, Any]) -> Object:
    """Make a class with these members."""
    record = {"key": key, "names": [key], "name": key, "module": "keras.src.x", "is_class": True}
    rest = {"inits": [], "mro": mro, "bases": mro[:1], "members": members}
    return from_record({**record, **rest})


def test_own_members_are_those_that_no_base_has_alike() -> None:
    """One of another signature counts; ``call`` never does, ``__call__`` not below one by hand."""
    same = [parameter("x")]
    base = thing("Base", (), {"adapt": same, "build": same, "__call__": same, "dtype": None})
    other = [parameter("y")]
    members = {"adapt": same, "build": other, "__call__": other, "call": same, "kernel": None}
    derived = thing("Derived", ("Base",), members)
    items = {"Base": base, "Derived": derived}
    assert list(own_members(derived, items, ())) == ["build", "__call__", "kernel"]
    assert list(own_members(derived, items, {"Base"})) == ["build", "kernel"]
    assert list(own_members(base, items, ())) == ["adapt", "build", "__call__", "dtype"]
