from __future__ import annotations

import pytest

from tools.rooms import TOPLEVEL, Name, home_of, keras_name, make_rooms
from tools.surface import Object, Surface


def thing(module: str, name: str, *names: str, bases: tuple[str, ...] = ()) -> Object:
    """Make a class; its key is its first name."""
    return Object(
        key=min(names), names=names, name=name, module=f"keras.src.{module}",
        is_class=True, parameters=(), mro=bases, bases=bases,
    )  # fmt: skip


def surface(*objects: Object) -> Surface:
    """Make a surface with the namespaces that the objects stand in."""
    modules = {"keras"}
    for item in objects:
        for name in item.names:
            parts = name.split(".")[:-1]
            modules |= {".".join(parts[: i + 1]) for i in range(len(parts))}
    return Surface(version="1.0", modules=tuple(sorted(modules)), objects=objects)


@pytest.mark.parametrize(
    ("item", "room", "name"),
    [
        (thing("losses.x", "mae", "keras.metrics.mae", "keras.losses.mae"), "losses", "mae"),
        (thing("ops.numpy", "add", "keras.ops.add", "keras.ops.numpy.add"), "ops.numpy", "add"),
        (thing("layers.x", "Pooling", "keras.layers.Pool", "keras.layers.Pooling"), "layers", "Pooling"),
        (thing("backend.x", "Scope", "keras.Scope"), TOPLEVEL, "Scope"),
        (thing("losses.loss", "Loss", "keras.Loss", "keras.losses.Loss"), "losses", "Loss"),
        (thing("x", "Layer", "keras.Layer", "keras.layers.Layer"), "mirrors.layer", "Layer"),
    ],
)  # fmt: skip
def test_the_home_of_an_object(item: Object, room: str, name: str) -> None:
    """Its source's namespace, its own name, the deepest place; the root when it has no other."""
    assert home_of(item) == Name(room=room, name=name)


def test_the_worker_is_told_the_short_name() -> None:
    """Of the source's namespace and by the object's own name, if there is one."""
    add = thing("ops.numpy", "add", "keras.ops.add", "keras.ops.numpy.add")
    assert keras_name(add) == "keras.ops.add"
    loss = thing("losses.x", "Loss", "keras.Loss", "keras.losses.Loss")
    assert keras_name(loss) == "keras.losses.Loss"
    grouped = thing("layers.x", "Grouped", "keras.layers.Group")
    assert keras_name(grouped) == "keras.layers.Group"


def test_bases_come_first() -> None:
    """In one room, whatever their names; else by name."""
    a = thing("layers", "A", "keras.layers.A", bases=("keras.layers.Z",))
    m, z = thing("layers", "M", "keras.layers.M"), thing("layers", "Z", "keras.layers.Z")
    rooms = make_rooms(surface(a, m, z))
    assert [item.name for item in rooms["layers"].objects] == ["M", "Z", "A"]


def test_other_names_are_imports_and_aliases() -> None:
    """The root's are not: they are in a file by hand."""
    mae = thing("losses.x", "mae", "keras.losses.mae", "keras.metrics.MAE", "keras.losses.MAE")
    loss = thing("losses.loss", "Loss", "keras.Loss", "keras.losses.Loss")
    rooms = make_rooms(surface(mae, loss))
    home = Name(room="losses", name="mae")
    assert rooms["metrics"].names == {"MAE": home}
    assert rooms["losses"].names == {"MAE": home}
    assert rooms[TOPLEVEL].names == {}


def test_a_namespace_that_holds_others_is_a_package() -> None:
    """Any other is a file."""
    rooms = make_rooms(surface(thing("ops.numpy", "add", "keras.ops.numpy.add")))
    assert str(rooms["ops"].file) == "ops/__init__.py"
    assert str(rooms["ops.numpy"].file) == "ops/numpy.py"
    assert str(rooms[TOPLEVEL].file) == "toplevel.py"


def test_rooms_that_import_each_other_are_refused() -> None:
    """The message shows the way round."""
    a = thing("saving", "A", "keras.saving.A", bases=("keras.utils.B",))
    b = thing("utils", "B", "keras.utils.B")
    c = thing("utils", "C", "keras.utils.C", bases=("keras.saving.D",))
    d = thing("saving", "D", "keras.saving.D")
    with pytest.raises(RuntimeError, match="import each other: saving -> utils -> saving"):
        make_rooms(surface(a, b, c, d))


def test_a_child_that_imports_its_parent_is_refused() -> None:
    """A package is loaded before what is in it, and imports that."""
    child = thing("ops.nn", "A", "keras.ops.nn.A", bases=("keras.ops.B",))
    parent = thing("ops", "B", "keras.ops.B")
    with pytest.raises(RuntimeError, match="import each other"):
        make_rooms(surface(child, parent))
