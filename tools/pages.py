"""What a mirror's docstring says: the kind of thing, its name, and Keras's page about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from tools.rooms import Name, keras_name

if TYPE_CHECKING:
    from tools.surface import Object

__all__ = ["SITE", "describe", "link", "namespace_page"]

SITE = "https://keras.io/api/"

PAGES: dict[str, str] = json.loads(
    Path(__file__).with_name("keras_pages.json").read_text(encoding="utf-8")
)
"""Addresses below the site by public name; by namespace with a dot at the end."""

KINDS = {
    "callbacks": "callback",
    "constraints": "constraint",
    "initializers": "initializer",
    "layers": "layer",
    "losses": "loss",
    "metrics": "metric",
    "optimizers": "optimizer",
    "optimizers.schedules": "learning rate schedule",
    "quantizers": "quantizer",
    "regularizers": "regularizer",
}
"""What the classes of a namespace are."""


def describe(item: Object, path: str) -> str:
    """Return a class's or function's docstring, without quotes; ``path`` is its room's."""
    kind = KINDS.get(path, "class") if item.is_class else "function"
    return f"Mirror of the {kind} ``{keras_name(item)}``.\n\n{link(item)}"


def link(item: Object) -> str:
    """Return the page about an object: of any of its names, else of its namespace."""
    own = keras_name(item)
    for name in (own, *item.names):
        if name in PAGES:
            return SITE + PAGES[name]
    return namespace_page(Name.of(own).room)


def namespace_page(path: str) -> str:
    """Return the page of the nearest namespace that has one."""
    while path:
        if found := PAGES.get(f"keras.{path}."):
            return SITE + found
        path = path.rpartition(".")[0]
    return SITE
