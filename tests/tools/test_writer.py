from __future__ import annotations

import ast

from tools.rooms import make_rooms
from tools.surface import Object, Parameter, Surface
from tools.writer import MARK, Writer

UNITS = Parameter(name="units", kind="POSITIONAL_OR_KEYWORD")
NAME = Parameter(name="name", kind="KEYWORD_ONLY", default="None")
BASE = Object(
    key="keras.layers.Wrapper", names=("keras.layers.Wrapper",), name="Wrapper",
    module="keras.src.layers.x", is_class=True, parameters=(UNITS, NAME),
    members={"adapt": (Parameter(name="data", kind="POSITIONAL_OR_KEYWORD"),), "kernel": None,
             "__call__": (Parameter(name="args", kind="VAR_POSITIONAL"),)},
)  # fmt: skip
DERIVED = Object(
    key="keras.layers.Also", names=("keras.layers.Also", "keras.layers.Another"), name="Also",
    module="keras.src.layers.x", is_class=True, parameters=(), mro=("keras.layers.Wrapper",),
    bases=("keras.layers.Wrapper",), members=BASE.members,
)  # fmt: skip
ADD = Object(
    key="keras.ops.add", names=("keras.ops.add", "keras.ops.numpy.add"), name="add",
    module="keras.src.ops.numpy", is_class=False,
    parameters=(Parameter(name="x", kind="VAR_POSITIONAL"), NAME),
)  # fmt: skip
LOAD = Object(
    key="keras.saving.load_model", names=("keras.saving.load_model",), name="load_model",
    module="keras.src.saving", is_class=False, parameters=(),
)  # fmt: skip
MODEL = Object(
    key="keras.Model", names=("keras.Model", "keras.models.Model"), name="Model",
    module="keras.src.models", is_class=True, parameters=(),
)  # fmt: skip
SURFACE = Surface(
    version="3.0",
    modules=("keras", "keras.layers", "keras.models", "keras.ops", "keras.ops.numpy", "keras.saving"),
    objects=(ADD, BASE, DERIVED, LOAD, MODEL),
)  # fmt: skip


def text(path: str) -> str:
    """Write a room, in a normal form."""
    rooms = make_rooms(SURFACE)
    return ast.unparse(ast.parse(Writer(SURFACE, rooms).text(rooms[path])))


def test_a_class_is_a_name_a_constructor_and_members() -> None:
    """In that order; a property is to be awaited, a call may be a node."""
    written = text("layers")
    assert "class Wrapper(Mirror):" in written
    assert "keras_name = 'keras.layers.Wrapper'" in written
    assert (
        "    def __init__(self, units: int, *, name: str | None=None) -> None:\n"
        "        self._describe(Wrapper, locals())" in written
    )
    assert "def adapt(self, data: object) -> Promise[Any]:" in written
    assert "return self._call(Wrapper.adapt, locals())" in written
    assert "@property\n    def kernel(self) -> Attribute:" in written
    assert "return self._apply(Wrapper.__call__, locals())" in written


def test_a_subclass_has_what_differs() -> None:
    """A constructor always; an alias follows."""
    written = text("layers")
    derived = written[written.index("class Also(Wrapper):") :]
    assert "def __init__(self) -> None:" in derived
    assert "def adapt" not in derived
    assert derived.endswith("Another = Also")


def test_a_function_returns_its_arguments() -> None:
    """Its decorator makes of them what they are for."""
    written = text("ops.numpy")
    assert "@keras_function('keras.ops.add')\ndef add(*x: object, name: str | None=None)" in written
    assert written.endswith("return locals()")


def test_a_function_whose_result_stays_gives_a_mirror() -> None:
    """Of the class by hand, which is imported."""
    written = text("saving")
    assert "from asyncbridge.models.mirrors.model import Model" in written
    assert "@keras_function('keras.saving.load_model', returns=Model)" in written
    assert "def load_model() -> Model:" in written
    assert "return given(locals())" in written


def test_a_parent_imports_from_its_children() -> None:
    """And the children themselves, that they are reached as in Keras."""
    written = text("ops")
    assert "from asyncbridge.models.ops import numpy" in written
    assert "from asyncbridge.models.ops.numpy import add" in written
    assert "__all__ = ['add', 'numpy']" in written


def test_what_is_by_hand_is_imported() -> None:
    """Its namespace has it, and defines nothing."""
    written = text("models")
    assert "from asyncbridge.models.mirrors.model import Model" in written
    assert "class " not in written


def test_a_file_says_where_it_is_from() -> None:
    """The mark, and the version; toplevel has it as a value, too."""
    assert f"{MARK} from Keras 3.0" in text("saving")
    assert "KERAS_VERSION = '3.0'" in text("toplevel")
    assert "'KERAS_VERSION'" in text("toplevel")
