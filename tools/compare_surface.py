"""Compare the mirrors with the installed Keras: ``python tools/compare_surface.py``.

Every public name, its signature and defaults, the bases of classes, and which names are one
object. Prints the figures, then every difference that ``EXCEPTIONS`` does not explain.
"""

from __future__ import annotations

import inspect
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from asyncbridge import models
from asyncbridge.models.mirrors.attributes import RemoteAttribute
from tools.rooms import BY_HAND
from tools.surface import Object, Parameter, Surface, own_members, read_surface

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

EXCEPTIONS = {
    "keras.KerasTensor": "its **kwargs stands for all that they may hold",
    "keras.Model.evaluate": "its **kwargs is Keras's own business, and refuses all else",
    "keras.Model": "that of a model of a graph, which (*args, **kwargs) stands for in Keras",
    "keras.Optimizer": "its **kwargs stays, as subclasses of Keras hand theirs to it",
}
"""Objects, and members, whose signature is not Keras's own, by key, and why."""

ABSENT = {
    "add_loss": "called by a layer's own call(), which runs in the worker",
    "add_metric": "likewise",
    "add_optimizer_variables": "called by an optimizer's own build()",
    "add_variable": "called by a layer's or an optimizer's own build()",
    "add_variable_from_reference": "likewise",
    "add_weight": "likewise",
    "apply": "takes the variables themselves, which stay in the worker",
    "apply_gradients": "likewise",
    "assign": "likewise",
    "assign_add": "likewise",
    "assign_sub": "likewise",
    "build": "likewise",
    "compute_mask": "called by Keras on a layer, with tensors",
    "compute_output_spec": "called by Keras on symbolic tensors; calling the layer does it",
    "finalize_variable_values": "takes the variables themselves",
    "get_quantization_layer_structure": "gives the layers themselves",
    "load_own_variables": "takes an open file",
    "model": "the model that a callback works on; fetch() tells of it",
    "quantized_build": "called by Keras on a layer",
    "quantized_call": "likewise",
    "ragged": "of tensors that no layer gives",
    "ragged_rank": "likewise",
    "rematerialized_call": "takes a function",
    "row_splits_dtype": "of tensors that no layer gives",
    "save_own_variables": "takes an open file",
    "scale_loss": "called in a training step",
    "stateless_apply": "takes the variables themselves",
    "stateless_call": "likewise",
    "stateless_compute_loss": "likewise",
    "symbolic_call": "called by Keras; calling the layer does it",
    "update_step": "called in a training step",
}
"""Members of classes by hand that their mirrors lack, and why: ``fetch`` reaches attributes.

Hooks, ``on_...`` of callbacks, are lacking as well: Keras calls them, in the worker.
"""

MISSING = object()
"""Stands for a mirror that is not there."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What was compared, and what differs."""

    figures: dict[str, tuple[int, int]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def count(self, what: str, faults: Iterable[str], total: int) -> None:
        """Note how many of a kind are right."""
        found = list(faults)
        self.figures[what] = total - len(found), total
        self.differences += found

    def __str__(self) -> str:
        shown = [f"{good} of {total} {what}" for what, (good, total) in self.figures.items()]
        return "\n".join([", ".join(shown), *self.differences])


def main() -> int:
    """Print the comparison; return 1 when something differs."""
    surface = read_surface()
    print(f"Keras {surface.version}, mirrors of {models.KERAS_VERSION}")
    report = compare(surface)
    print(report)
    return 1 if report.differences else 0


def compare(surface: Surface) -> Report:
    """Compare all that is public."""
    report = Report()
    objects = surface.objects
    classes = [item for item in objects if item.is_class]
    items = surface.by_key
    members = [
        (f"{item.key}.{name}", item, member)
        for item in classes
        for name, member in own_members(item, items, {} if item.key in BY_HAND else BY_HAND).items()
        if item.key not in BY_HAND or not _is_absent(item, name)
    ]
    absent = [f"{module} is missing" for module in surface.modules if mirror(module) is MISSING]
    report.count("namespaces", absent, len(surface.modules))
    report.count("objects", map_faults(_object, objects), len(objects))
    report.count("names", _missing(objects), sum(len(item.names) for item in objects))
    report.count("signatures", map_faults(_signature, objects), len(objects))
    report.count("classes with Keras's bases", _bases(classes), len(classes))
    report.count("methods and properties", _members(members), len(members))
    return report


def mirror(full: str) -> Any:
    """Return what stands under a public name of Keras here."""
    found: Any = models
    for part in full.split(".")[1:]:
        found = getattr(found, part, MISSING)
    return found


def map_faults(check: Any, objects: Iterable[Object]) -> Iterator[str]:
    """Yield what a check says of those objects that it finds wrong."""
    found = (check(item, mirror(item.key)) for item in objects)
    return (fault for fault in found if fault)


# --- checks ------------------------------------------------------------------------------


def _object(item: Object, ours: Any) -> str:
    if ours is MISSING:
        return f"{item.key} is missing"
    if isinstance(ours, type) is not item.is_class:
        return f"{item.key} is no {'class' if item.is_class else 'function'}"
    name = getattr(ours, "keras_name", None)
    return "" if name in item.names else f"{item.key} is called {name}"


def _missing(objects: Iterable[Object]) -> Iterator[str]:
    """Yield the names that are not there, or are another object than the first."""
    for item in objects:
        ours = mirror(item.key)
        yield from (
            f"{name} is not {item.key}" if mirror(name) is not MISSING else f"{name} is missing"
            for name in item.names
            if mirror(name) is not ours or ours is MISSING
        )


def _signature(item: Object, ours: Any) -> str:
    if ours is MISSING or item.key in EXCEPTIONS:
        return ""
    function = inspect.getattr_static(ours, "__init__") if item.is_class else ours
    return _differs(item.key, item.parameters, function)


def _differs(label: str, wanted: Iterable[Parameter], function: Any) -> str:
    found = [
        Parameter(name=p.name, kind=p.kind.name, default=_code(p.default))
        for p in inspect.signature(function).parameters.values()
        if p.name != "self"
    ]
    expected = list(wanted)
    if _ordered(found) == _ordered(expected):
        return ""
    extra = [_shown(p) for p in found if p not in expected]
    lacking = [_shown(p) for p in expected if p not in found]
    what = f"has {extra}, lacks {lacking}" if extra or lacking else "has another order"
    return f"{label} {what}"


def _ordered(parameters: Iterable[Parameter]) -> list[Parameter]:
    """Sort those that are given by name: their order means nothing."""
    return sorted(parameters, key=lambda p: p.name if p.kind == "KEYWORD_ONLY" else "")


def _code(default: object) -> str | None:
    return None if default is inspect.Parameter.empty else repr(default)


def _shown(p: Parameter) -> str:
    default = "" if p.default is None else f"={p.default}"
    return f"{p.name}{default} {p.kind.lower()}"


def _bases(classes: Iterable[Object]) -> Iterator[str]:
    """Yield the classes that inherit from more or fewer public classes than in Keras."""
    mirrors = {item.key: mirror(item.key) for item in classes}
    keys = {cls: key for key, cls in mirrors.items() if isinstance(cls, type)}
    for item in classes:
        ours = mirrors[item.key]
        found = [keys[base] for base in getattr(ours, "__mro__", ())[1:] if base in keys]
        if found != list(item.mro):
            yield f"{item.key} inherits {found}, not {list(item.mro)}"


def _is_absent(item: Object, name: str) -> bool:
    """Tell a member that is lacking for a reason."""
    explained = name in ABSENT or name.startswith("on_")
    return explained and not hasattr(mirror(item.key), name)


def _members(members: Iterable[tuple[str, Object, tuple[Parameter, ...] | None]]) -> Iterator[str]:
    for label, item, wanted in members:
        found = inspect.getattr_static(mirror(item.key), label.rpartition(".")[2], MISSING)
        if wanted is None and not isinstance(found, (property, RemoteAttribute)):
            yield f"{label} is no property"
        elif wanted is not None and not inspect.isfunction(found):
            yield f"{label} is no method"
        elif label in EXCEPTIONS:
            continue
        elif wanted is not None and (fault := _differs(label, wanted, found)):
            yield fault


if __name__ == "__main__":
    sys.exit(main())
