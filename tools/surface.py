"""The public surface of Keras as the generator sees it: read in a worker, held as typed data.

A class's constructor has the parameters of its own ``__init__``, then those that its
``**kwargs`` hands to the bases, which can be given by name alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncbridge

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

__all__ = [
    "Object",
    "Parameter",
    "Surface",
    "constructor",
    "from_record",
    "own_members",
    "read_surface",
]

READER = Path(__file__).with_name("reader.py")

REJECTS = {
    "BaseOptimizer": "unknown names raise ValueError",
    "IndexLookup": "unknown names raise ValueError",
    "Layer": "unknown names raise ValueError",
    "LossScaleOptimizer": "unknown names raise ValueError",
    "ModelParallel": "nothing but device_mesh is read, and that is dropped",
    "ReduceLROnPlateau": "nothing is read: unknown names vanish",
    "SeedGenerator": "unknown names raise ValueError",
}
"""Whose ``**kwargs`` is no parameter, and why; that of others takes what nobody can list."""

HANDS_ON = {
    "HashedCrossing": "Layer",  # any name is accepted; those that Layer has are in its config
    "InputLayer": "Layer",  # likewise
    "Model": "Layer",  # by Layer.__init__(self, *args, **kwargs)
}
"""Whose ``**kwargs`` goes to a base in another way than by ``super().__init__``."""

NOT_OFFERED = {
    "backend": "a module of Keras, for tests of its own",
    "decay": "ignored with a warning",
    "device_mesh": "dropped",
    "dynamic": "no value but the default is accepted",
}
"""What a constructor takes out of its ``**kwargs`` and has no use for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One parameter: the name of its kind as ``inspect`` has it, and its default's code."""

    name: str
    kind: str
    default: str | None = None

    def by_name(self) -> Parameter:
        """Return the same as a keyword-only parameter."""
        return Parameter(name=self.name, kind="KEYWORD_ONLY", default=self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Object:
    """One public class or function.

    Attributes:
        key: Its first name in the alphabet, by which others refer to it.
        names: All its public names.
        name: What it calls itself.
        module: Where Keras defines it.
        parameters: Those of the function, or of the merged constructor.
        mro: The public classes that it inherits from, nearest first.
        bases: The nearest of them.
        members: Its public methods, and properties (None), inherited ones included.
    """

    key: str
    names: tuple[str, ...]
    name: str
    module: str
    is_class: bool
    parameters: tuple[Parameter, ...]
    mro: tuple[str, ...] = ()
    bases: tuple[str, ...] = ()
    members: dict[str, tuple[Parameter, ...] | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surface:
    """All of Keras that is public."""

    version: str
    modules: tuple[str, ...]
    objects: tuple[Object, ...]

    @property
    def by_key(self) -> dict[str, Object]:
        """The objects by key."""
        return {item.key: item for item in self.objects}


def read_surface() -> Surface:
    """Read the installed Keras in a worker of its own."""
    with asyncbridge.connect() as bridge:
        code = READER.read_text(encoding="utf-8") + "\nread()\n"
        raw: dict[str, Any] = bridge.send(code).wait_for_value(timeout=300)
    return Surface(
        version=raw["version"],
        modules=tuple(raw["modules"]),
        objects=tuple(map(from_record, raw["objects"])),
    )


def own_members(
    item: Object, objects: Mapping[str, Object], by_hand: Container[str]
) -> dict[str, tuple[Parameter, ...] | None]:
    """Return the members that no public base has in the same form.

    What calling an object does is not among them when a mirror by hand says it.
    """
    return {
        name: member
        for name, member in item.members.items()
        if name != "call"
        and not _inherits([objects[key] for key in item.mro], name, member, by_hand)
    }


def _inherits(
    bases: list[Object],
    name: str,
    member: tuple[Parameter, ...] | None,
    by_hand: Container[str],
) -> bool:
    nearest = next((base for base in bases if name in base.members), None)
    if nearest is None:
        return False
    return nearest.members[name] == member or (name == "__call__" and nearest.key in by_hand)


def from_record(record: dict[str, Any]) -> Object:
    """Make the domain object of one of the reader's records."""
    common: dict[str, Any] = {
        "key": record["key"],
        "names": tuple(record["names"]),
        "name": record["name"],
        "module": record["module"],
        "is_class": record["is_class"],
    }
    if not record["is_class"]:
        return Object(**common, parameters=_parameters(record["parameters"]))
    return Object(
        **common,
        parameters=constructor(record["inits"]),
        mro=tuple(record["mro"]),
        bases=tuple(record["bases"]),
        members={
            name: None if found is None else _parameters(found)
            for name, found in record["members"].items()
        },
    )


def constructor(inits: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    """Merge the constructors along the MRO into the parameters that a call may give."""
    merged: dict[str, Parameter] = {}
    late: dict[str, Parameter] = {}
    taken: set[str] = set()
    passed = 0
    for index, init in enumerate([one for one in inits if not _is_transparent(one)]):
        named = _named([init])
        taken |= {p.name for p in named[:passed]}
        for parameter in named:
            if parameter.name not in taken:
                merged.setdefault(parameter.name, parameter.by_name() if index else parameter)
        late |= {p.name: p for p in _taken_out(init) if p.name not in taken}
        target = HANDS_ON.get(init["owner"])
        if target is not None:
            return _joined(merged, late, _from(inits, target))
        if not init["forwards"] or not _takes_any(init):
            return _closed(init, merged, late)
        taken |= set(init["given"])
        passed = init["passed"]
    return _joined(merged, late, ())


def _is_transparent(init: dict[str, Any]) -> bool:
    """Tell a constructor that hands on ``*args`` and ``**kwargs``, and takes nothing itself."""
    kinds = [p["kind"] for p in init["parameters"]]
    return kinds == ["VAR_POSITIONAL", "VAR_KEYWORD"] and init["forwards"]


def _named(inits: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    found = [p for init in inits for p in _parameters(init["parameters"])]
    return tuple(p for p in found if not p.kind.startswith("VAR_"))


def _parameters(raw: list[dict[str, Any]]) -> tuple[Parameter, ...]:
    return tuple(Parameter(**one) for one in raw)


def _takes_any(init: dict[str, Any]) -> bool:
    return any(p["kind"] == "VAR_KEYWORD" for p in init["parameters"])


def _taken_out(init: dict[str, Any]) -> list[Parameter]:
    """Return what the constructor takes out of its ``**kwargs`` by name."""
    return [
        Parameter(name=name, kind="KEYWORD_ONLY", default=default if _plain(default) else "None")
        for name, default in init["popped"].items()
        if name not in NOT_OFFERED
    ]


def _plain(default: str) -> bool:
    """Tell a literal from code that computes the default: then None stands for it."""
    return default in {"None", "True", "False"} or default.isdigit()


def _from(inits: list[dict[str, Any]], owner: str) -> tuple[Parameter, ...]:
    owners = [init["owner"] for init in inits]
    return tuple(p.by_name() for p in constructor(inits[owners.index(owner) :]))


def _joined(
    merged: dict[str, Parameter], late: dict[str, Parameter], more: tuple[Parameter, ...]
) -> tuple[Parameter, ...]:
    found = {**{p.name: p for p in more}, **late}
    return (*merged.values(), *(p for name, p in found.items() if name not in merged))


def _closed(
    init: dict[str, Any], merged: dict[str, Parameter], late: dict[str, Parameter]
) -> tuple[Parameter, ...]:
    """End the merge, with what this constructor takes beyond named parameters."""
    keep = init["owner"] not in REJECTS
    open_ones = [p for p in _parameters(init["parameters"]) if p.kind.startswith("VAR_") and keep]
    found = _joined(merged, late, ())
    positional = [p for p in found if p.kind.startswith("POSITIONAL")]
    named = [p for p in found if p.kind == "KEYWORD_ONLY"]
    rest = {p.kind: (p,) for p in open_ones}
    return (
        *positional,
        *rest.get("VAR_POSITIONAL", ()),
        *named,
        *rest.get("VAR_KEYWORD", ()),
    )
