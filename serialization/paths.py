"""Where in a value the one stands that has no wire form; walked only after a refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncbridge.serialization.walk import Steps

_SHOWN_STEPS: Final = 12
_SHOWN_CHARS: Final = 40
_PLAIN: Final = frozenset[type]((type(None), bool, int, float, bytes))


def find(root: object, target: object, depth: int) -> Steps | None:
    """Return the steps from a value down to a part of it, with what stands at each.

    Args:
        root: The whole value.
        target: The part, found by identity.
        depth: How deep it stands; elsewhere it may have been all right.
    """
    if depth == 0:
        return [] if root is target else None
    for step, child in _children(root):
        rest = find(child, target, depth - 1)
        if rest is not None:
            return [(step, child), *rest]
    return None


def render(steps: Steps) -> str:
    """Return steps as text, the middle of many left out."""
    return _joined([step for step, _ in steps])


def _joined(texts: list[str]) -> str:
    if len(texts) > _SHOWN_STEPS:
        half = _SHOWN_STEPS // 2
        texts = [*texts[:half], f"…{len(texts) - 2 * half} steps…", *texts[-half:]]
    return "".join(texts)


def loop(root: object, steps: Steps) -> tuple[str, str] | None:
    """Return the path at which a container stands inside itself, and the one where it began."""
    seen = {id(root): 0}
    for length, (_, value) in enumerate(steps, 1):
        first = seen.setdefault(id(value), length)
        if first != length:
            return render(steps[:length]), render(steps[:first])
    return None


def _children(value: Any) -> Iterator[tuple[str, object]]:
    kind = type(value)
    if kind is dict:
        yield from _dict_children(value)
    elif kind is slice:
        for name in ("start", "stop", "step"):
            yield f".{name}", getattr(value, name)
    elif kind is list or kind is tuple:
        for index, item in enumerate(value):
            yield f"[{index}]", item
    elif kind is set or kind is frozenset:
        for member in value:
            yield f"{{{short(member)}}}", member


def _dict_children(value: dict[object, object]) -> Iterator[tuple[str, object]]:
    for key, item in value.items():
        yield f"{{key {short(key)}}}", key
        yield f"[{short(key)}]", item


def short(key: Any) -> str:
    """Show a key; only the reprs of plain types are trusted to be quick and not to raise."""
    kind = type(key)
    if kind is str:
        text = json.dumps(key)
    elif kind is int and abs(key) >= 2**64:
        text = "<big int>"
    else:
        text = repr(key) if kind in _PLAIN else f"<{kind.__name__}>"
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 1] + "…"


def find_tree(root: object, target: object, depth: int = 300) -> str:
    """Return the path from a JSON tree down to a part of it, as that of the values they are."""
    return _joined([step for step in _find_tree(root, target, depth) or () if step])


def find_item(trees: list[object], target: object, offset: int) -> str:
    """Return the path down to a part of one of the trees, the first of which has a number."""
    for index, tree in enumerate(trees, offset):
        steps = _find_tree(tree, target, 300)
        if steps is not None:
            return _joined([f"[{index}]", *(step for step in steps if step)])
    return ""


def _find_tree(tree: object, target: object, depth: int) -> list[str] | None:
    if tree is target:
        return []
    if depth == 0:
        return None
    for step, child in _tree_children(tree):
        rest = _find_tree(child, target, depth - 1)
        if rest is not None:
            return [step, *rest]
    return None


def _tree_children(tree: Any) -> Iterator[tuple[str, object]]:
    if type(tree) is list:
        for index, item in enumerate(tree):
            yield f"[{index}]", item
    elif type(tree) is dict and "$" not in tree:
        for key, item in tree.items():
            yield f"[{short(key)}]", item
    elif type(tree) is dict and "v" in tree:
        yield from _tagged_children(tree)


def _tagged_children(tree: dict[str, Any]) -> Iterator[tuple[str, object]]:
    items = tree["v"]
    if tree["$"] == "dict" and type(items) is list:
        for place, item in enumerate(items):
            key = items[place & ~1]
            yield f"[{short(key)}]" if place % 2 else f"{{key {short(key)}}}", item
    elif type(tree["$"]) is str and tree["$"] in _PLAIN_TAGS:
        yield "", items
    else:
        yield f"<{short(tree.get('n', tree['$']))[1:-1]}>", items


_PLAIN_TAGS: Final = frozenset(("tuple", "set", "frozenset", "slice", "packed"))
