"""What the installed Keras has: its public names, signatures, bases and members, as plain data.

The text of this file runs in a worker, where Keras is; ``read()`` is the value that comes back.
It decides nothing: which of this becomes a mirror, and how, is the business of ``rooms``.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import ModuleType
from typing import Any

import keras

__all__ = ["read"]

BACKEND = "keras.src.backend.tensorflow"
"""Where members stand that the other backends lack."""


def read() -> dict[str, Any]:
    """Return the version, the public modules, and one record for each public object."""
    modules = dict(_walk(keras, "keras"))
    names: dict[int, list[str]] = {}
    objects: dict[int, Any] = {}
    for path, module in modules.items():
        for name, value in _public(module):
            if not isinstance(value, ModuleType):
                objects[id(value)] = value
                names.setdefault(id(value), []).append(f"{path}.{name}")
    keys = {number: min(found) for number, found in names.items()}
    records = [_record(value, sorted(names[number]), keys) for number, value in objects.items()]
    return {
        "version": keras.__version__,
        "modules": sorted(modules),
        "objects": sorted(records, key=lambda record: str(record["key"])),
    }


def _public(module: ModuleType) -> list[tuple[str, Any]]:
    found = vars(module).items()
    return [(name, value) for name, value in found if not name.startswith("_") and name != "src"]


def _walk(module: ModuleType, path: str) -> list[tuple[str, ModuleType]]:
    found = [(path, module)]
    for name, value in _public(module):
        # Another module that is merely imported there has another name.
        if isinstance(value, ModuleType) and value.__name__ == f"{module.__name__}.{name}":
            found += _walk(value, f"{path}.{name}")
    return found


def _record(value: Any, names: list[str], keys: dict[int, str]) -> dict[str, Any]:
    record = {
        "key": names[0],
        "names": names,
        "name": value.__name__,
        "module": value.__module__,
        "is_class": isinstance(value, type),
    }
    if not isinstance(value, type):
        return {**record, "parameters": _parameters(value)}
    public = [base for base in value.__mro__[1:] if id(base) in keys]
    return {
        **record,
        "mro": [keys[id(base)] for base in public],
        "bases": [keys[id(base)] for base in _nearest(value, keys)],
        "inits": [_init(base) for base in value.__mro__[:-1] if "__init__" in vars(base)],
        "members": _members(value),
    }


def _parameters(function: Any) -> list[dict[str, Any]]:
    """Return name, kind and default's code of each parameter but ``self``."""
    found = inspect.signature(function).parameters.values()
    return [
        {
            "name": p.name,
            "kind": p.kind.name,
            "default": None if p.default is p.empty else repr(p.default),
        }
        for p in found
        if p.name != "self"
    ]


def _nearest(cls: type, keys: dict[int, str]) -> list[type]:
    """Return the bases; in place of one that is private, its own."""
    found: list[type] = []
    for base in cls.__bases__:
        found += [base] if id(base) in keys else _nearest(base, keys)
    kept = [b for b in found if not any(o is not b and issubclass(o, b) for o in found)]
    return list(dict.fromkeys(kept))


# --- constructors ------------------------------------------------------------------------


def _init(owner: type) -> dict[str, Any]:
    """Describe one class's own constructor, and what it hands on to the next one."""
    init: Any = vars(owner)["__init__"]
    calls = [node for node in ast.walk(_tree(init)) if isinstance(node, ast.Call)]
    onward = [call for call in calls if ast.unparse(call.func) == "super().__init__"]
    return {
        "owner": owner.__name__,
        "parameters": _parameters(init),
        # By position, by name, and whether the rest of **kwargs goes on.
        "passed": max((_count(call) for call in onward), default=0),
        "given": sorted({k.arg for call in onward for k in call.keywords if k.arg is not None}),
        "forwards": any(k.arg is None for call in onward for k in call.keywords),
        "popped": dict(sorted(_popped(call) for call in calls if _is_pop(call))),
    }


def _tree(function: Any) -> ast.AST:
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


def _count(call: ast.Call) -> int:
    return sum(not isinstance(argument, ast.Starred) for argument in call.args)


def _is_pop(call: ast.Call) -> bool:
    return ast.unparse(call.func) == "kwargs.pop" and isinstance(call.args[0], ast.Constant)


def _popped(call: ast.Call) -> tuple[str, str]:
    """Return the name that is taken out of ``**kwargs``, and the code of its default."""
    name, *default = call.args
    return str(ast.literal_eval(name)), ast.unparse(default[0]) if default else "None"


# --- members -----------------------------------------------------------------------------


def _members(cls: type) -> dict[str, list[dict[str, Any]] | None]:
    """Return the public methods with their parameters, and the properties with None."""
    found: dict[str, list[dict[str, Any]] | None] = {}
    for base in cls.__mro__:
        if not base.__module__.startswith("keras.") or base.__module__.startswith(BACKEND):
            continue
        for name, value in vars(base).items():
            if name in found or (name.startswith("_") and name != "__call__"):
                continue
            if isinstance(value, property):
                found[name] = None
            elif inspect.isfunction(value):
                found[name] = _parameters(value)
    return dict(sorted(found.items()))
