"""Configs of Keras's objects, in which those that are known elsewhere, too, keep their identity."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from types import FunctionType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final

import keras
from keras.src.backend.common import global_state
from keras.src.saving.serialization_lib import SafeModeScope

from asyncbridge.worker.guards import attempt
from asyncbridge.worker.packing import found_by_name
from asyncbridge.worker.unpacking import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping

__all__ = ["MARK", "configured", "functions_of", "marks", "remade"]

MARK: Final = "shared_object_id"
"""Keras's own key, by which a config says which object it is of."""
_WRITTEN: Final = "shared_objects/id_to_config_map"
_READ: Final = "shared_objects/id_to_obj_map"


class _Seen(dict[int, dict[str, Any]]):
    """What Keras looks up, to have a mark put on the second config of an object: on each here."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: set[int] = set()

    def __contains__(self, address: object) -> bool:
        assert isinstance(address, int)
        self.addresses.add(address)
        return True

    def __missing__(self, address: int) -> dict[str, Any]:
        return {}


def configured(thing: Any, read: Callable[[], Any] | None = None) -> tuple[Any, set[int]]:
    """Return an object's config, and the ids of those that stand in it, which are marked.

    Args:
        thing: The object.
        read: Gives another config of it.
    """
    seen = _Seen()
    with _set(_WRITTEN, seen):
        config = keras.saving.serialize_keras_object((read or thing.get_config)())
    return config, seen.addresses


def marks(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the parts of a config that have a mark, from the innermost on."""
    return (part for part in _parts(config) if MARK in part)


def _parts(config: Any) -> Iterator[dict[str, Any]]:
    """Yield the dicts in a config, from the innermost on."""
    parts = config.values() if isinstance(config, dict) else config
    for part in parts if isinstance(config, (dict, list, tuple)) else ():
        yield from _parts(part)
    if isinstance(config, dict):
        yield config


def functions_of(thing: Any) -> dict[str, tuple[str, str]]:
    """Return where others can import the functions that an object has: its config has their names."""
    named: dict[str, tuple[str, str]] = {}
    for part in vars(thing).values():
        if isinstance(part, FunctionType) and not _is_keras(part.__module__):
            found = found_by_name(part)
            if found is not None:
                named[part.__name__] = found
    return named


def remade(
    make: Callable[[Any], Any],
    config: Any,
    shared: dict[int, Any],
    functions: Mapping[str, tuple[str, str]] = MappingProxyType({}),
) -> Any:
    """Return what is made of a config.

    Args:
        make: Makes it.
        config: As ``configured`` has returned it; it stays as it is.
        shared: The objects that are there already, by the ids that mark their configs.
        functions: As ``functions_of`` has returned them.
    """
    config = copy.deepcopy(config)
    known: dict[str, Any] = {}
    for part in list(_parts(config)):
        _make_known(part, functions, known)
    # Lambdas are marshalled code: it is the user's, who runs any code here.
    with (
        _set(_READ, dict(shared)),
        SafeModeScope(safe_mode=False),
        keras.saving.CustomObjectScope(known),
    ):
        return make(config)


def _make_known(
    part: dict[str, Any], functions: Mapping[str, tuple[str, str]], known: dict[str, Any]
) -> None:
    """Have Keras find a function or class: it knows only its own, and what was registered with it."""
    module, name, said = part.get("module"), part.get("class_name"), part.get("config")
    if not isinstance(module, str) or not isinstance(name, str):
        return
    if name == "function" and isinstance(said, str) and said in functions:
        key, module, name = "config", *functions[said]
    elif not _is_keras(module) and "registered_name" in part:
        key = "registered_name"
    else:
        return
    found = attempt(lambda: imported(module, name), None)
    if found is not None:
        # No text that stands elsewhere in a config: Keras would put the object there, too.
        part[key] = f"asyncbridge:{module}:{name}"
        known[part[key]] = found


def _is_keras(module: object) -> bool:
    return str(module).partition(".")[0] in ("keras", "builtins")


@contextmanager
def _set(name: str, value: object) -> Generator[None]:
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, value)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)
