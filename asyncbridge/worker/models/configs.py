"""Configs of Keras's objects, in which those that are known elsewhere, too, keep their identity."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import keras
from keras.src.backend.common import global_state
from keras.src.saving.serialization_lib import SafeModeScope

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

__all__ = ["MARK", "configured", "marks", "remade"]

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
    parts = config.values() if isinstance(config, dict) else config
    for part in parts if isinstance(config, (dict, list, tuple)) else ():
        yield from marks(part)
    if isinstance(config, dict) and MARK in config:
        yield config


def remade(make: Callable[[Any], Any], config: Any, shared: dict[int, Any]) -> Any:
    """Return what is made of a config.

    Args:
        make: Makes it.
        config: As ``configured`` has returned it; it stays as it is.
        shared: The objects that are there already, by the ids that mark their configs.
    """
    # Lambdas are marshalled code: it is the user's, who runs any code here.
    with _set(_READ, dict(shared)), SafeModeScope(safe_mode=False):
        return make(copy.deepcopy(config))


@contextmanager
def _set(name: str, value: object) -> Generator[None]:
    before = global_state.get_global_attribute(name)
    global_state.set_global_attribute(name, value)
    try:
        yield
    finally:
        global_state.set_global_attribute(name, before)
