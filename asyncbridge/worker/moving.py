"""What commands have made, as data of which another worker makes it anew.

The data is a table of records (``records.py``), in which what was one object is one record: so it
becomes one object, and what refers to itself may move, too. Keras's own objects are taken apart
in ``models/moving.py`` and put together in ``models/remaking.py``, where Keras has been imported.
"""

from __future__ import annotations

import random
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncbridge.worker.packing import Packing
from asyncbridge.worker.records import Record, reached, told
from asyncbridge.worker.unpacking import Unpacking

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncbridge.worker.models.moving import KerasPacking

__all__ = ["pack", "unpack"]


def pack(things: Mapping[str, object]) -> dict[str, Any]:
    """Return data with a wire form, of which ``unpack`` makes these objects anew.

    Two keys of one object are two keys of one object afterwards; so is what stands in lists,
    tuples and dicts. Keras's objects come back with their state, and as parts of one another; of
    the attributes that code has set on them, those that no config tells are not there. It runs in
    the thread that runs commands, as ``unpack`` does: Keras keeps settings for each thread.

    Args:
        things: Objects by keys of any text.

    Returns:
        ``lost`` has the reasons, by key, of what cannot move; the rest is for ``unpack``. Arrays
        are not copied: they are views of what may still change.
    """
    packing = Packing()
    keras = packing.keras = _keras_packing(packing, things)
    names: dict[str, object] = {}
    lost: dict[str, str] = {}
    for key, thing in things.items():
        try:
            names[key] = packing.item(thing)
        except Exception as error:
            lost[key] = told(error)
    if keras is not None:
        keras.finish()
    whole = _whole(names, packing, lost)
    return {
        "names": whole,
        "records": _kept(packing.records, whole.values()),
        "lost": lost,
        "settings": _settings(),
    }


def unpack(data: Mapping[str, Any]) -> tuple[dict[str, object], dict[str, str]]:
    """Make objects of what ``pack`` returned, and set what it noted of the process.

    Returns:
        The objects, and the reasons of what was lost, each by key. A key stands in one of them.
    """
    unpacking = Unpacking(data["records"])
    made: dict[str, object] = {}
    lost: dict[str, str] = dict(data["lost"])
    _set_early(data["settings"])
    for key, item in data["names"].items():
        try:
            made[key] = unpacking.value(item)
        except Exception as error:
            lost[key] = told(error)
    if unpacking.keras is not None:
        unpacking.keras.finish()
    whole = _whole({key: data["names"][key] for key in made}, unpacking, lost)
    # Last: to make objects draws numbers, and counts names.
    _set_settings(data["settings"])
    return {key: made[key] for key in whole}, lost


def _whole(
    names: Mapping[str, object], table: Packing | Unpacking, lost: dict[str, str]
) -> dict[str, object]:
    """Return the names of what is as it was, all that it refers to included; note the others."""
    whole: dict[str, object] = {}
    for key, item in names.items():
        found = reached(table.records, [item]) if table.failures else set[int]()
        reason = next((table.failures[n] for n in sorted(found) if n in table.failures), None)
        if reason is None:
            whole[key] = item
        else:
            lost[key] = reason
    return whole


def _kept(records: list[Record | None], items: Iterable[object]) -> list[Record | None]:
    found = reached(records, items)
    return [record if place in found else None for place, record in enumerate(records)]


# --- the process -------------------------------------------------------------------------


def _keras_packing(packing: Packing, things: Mapping[str, object]) -> KerasPacking | None:
    if "keras" not in sys.modules:
        return None
    from asyncbridge.worker.models.moving import KerasPacking  # noqa: PLC0415 - imports Keras

    return KerasPacking(packing, things.values())


def _settings() -> dict[str, Any]:
    settings: dict[str, Any] = {"python": random.getstate(), "numpy": np.random.get_state()}  # noqa: NPY002 - the state that users' code draws from
    if "keras" in sys.modules:
        from asyncbridge.worker.models import settings as keras_settings  # noqa: PLC0415 - likewise

        settings["keras"] = keras_settings.read()
    return settings


def _set_early(settings: Mapping[str, Any]) -> None:
    """Set what objects are made by: dtypes and the like."""
    if "keras" in settings:
        from asyncbridge.worker.models import settings as keras_settings  # noqa: PLC0415 - likewise

        keras_settings.write(settings["keras"])


def _set_settings(settings: Mapping[str, Any]) -> None:
    random.setstate(settings["python"])
    np.random.set_state(settings["numpy"])  # noqa: NPY002 - likewise
    _set_early(settings)
