"""A shipment: all that one function needs, gathered into the source of one factory."""

from __future__ import annotations

import ast
import builtins
import functools
import sys
from dataclasses import dataclass
from pathlib import PurePath
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Literal

from asyncbridge.codegen.isolation import Definition, binds, free_names, isolate
from asyncbridge.codegen.literals import checked_literal, literal_syntax
from asyncbridge.codegen.names import random_name
from asyncbridge.codegen.render import unparse
from asyncbridge.errors import CodegenError
from asyncbridge.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

_MISSING = object()
_SITES = frozenset({"site-packages", "dist-packages"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What a name stands for, and where: in a closure or a module, in builtins, or nowhere."""

    value: object
    origin: Literal["user", "builtin", "nowhere"]


class Shipment:
    """One factory in the making.

    All shipped functions stand side by side in the factory, so a variable must mean the same to
    all of them; where two mean different things by a name, the second one's is renamed.

    Attributes:
        name: The factory's random name.
        bindings: Random names and values, in the order of the factory's parameters.
    """

    def __init__(self, modules: Mapping[str, str]) -> None:
        self.name = random_name("factory_")
        self.bindings: dict[str, object] = {}
        self._modules = modules
        # The factory's variables and what they stand for; it keeps the values alive, so that
        # their ids below stay theirs.
        self._variables: dict[str, object] = {}
        self._parameters: list[str] = []
        self._imports: list[ast.stmt] = []
        # Each variable's own statement, in the order they were finished.
        self._definitions: dict[str, ast.stmt] = {}
        # The first variable of each function, partial and binding, by the value's id.
        self._made: dict[int, str] = {}

    def factory(self, function: object) -> str:
        """Return the factory's source; ``bindings`` are complete then.

        Raises:
            CodegenError: Something in it cannot be shipped.
        """
        name = getattr(function, "__name__", "")
        plain = name.isidentifier() and not name.startswith("__")
        variable = name if plain else "function"
        self._variables[variable] = function
        self._bind(variable, function, user="", decorated=_goes_by(function, name))
        if any(value is function for value in self.bindings.values()):
            raise CodegenError(
                f"{name or function!r} was wrapped by a call and not by a decorator in its "
                "source: ship the plain function"
            )
        tree = ast.fix_missing_locations(ast.Module(body=[self._tree(variable)], type_ignores=[]))
        source = unparse(tree)
        if ast.dump(parse(source)) != ast.dump(tree):
            raise CodegenError(f"{variable}: Python's own writer changes its code; simplify it")
        return source

    def _tree(self, variable: str) -> ast.stmt:
        tree = parse(f"def {self.name}({', '.join(self._parameters)}): return {variable}")
        factory = tree.body[0]
        assert isinstance(factory, ast.FunctionDef)
        forget = parse(f"global {self.name}\ndel {self.name}").body
        factory.body = [*forget, *self._imports, *_ordered(self._definitions), *factory.body]
        return factory

    # --- variables -----------------------------------------------------------------------

    def _claim(self, name: str, found: _Found, definition: Definition) -> tuple[str, bool]:
        """Return the variable for what a name stands for, and whether it is a new one."""
        value = found.value
        if name not in self._variables:
            self._variables[name] = value
            # A builtin, or a name for the worker to find, needs no variable, only its name free.
            return name, found.origin == "user"
        if self._variables[name] is value:
            return name, False
        if found.origin == "nowhere" or binds(definition, name):
            raise CodegenError(
                f"two of the shipped functions mean different things by the name {name!r}: "
                "rename one"
            )
        return self._fresh(name, value), True

    def _fresh(self, prefix: str, value: object) -> str:
        variable = random_name(f"{prefix}_")
        self._variables[variable] = value
        return variable

    def _bind(self, variable: str, value: object, *, user: str, decorated: bool) -> None:
        """Write what gives the variable its value.

        Args:
            variable: The variable, already claimed.
            value: What it stands for.
            user: The module of the function that uses it.
            decorated: Whether the value goes by its own name, so that decorators apply.
        """
        target = None if isinstance(value, ModuleType) else _importable(value, user, self._modules)
        if isinstance(value, ModuleType):
            self._import(value.__name__, variable)
        elif target is not None:
            self._import_from(*target, variable)
        elif id(value) in self._made:
            self._definitions[variable] = _assign(variable, _load(self._made[id(value)]))
        elif isinstance(value, FunctionType):
            self._function(variable, value, value, decorated=decorated)
        elif type(value) is functools.partial:
            self._partial(variable, value, user)
        elif decorated and _is_decorated(value):
            self._function(variable, value, value.__wrapped__, decorated=True)  # type: ignore[attr-defined]  # _is_decorated saw it
        else:
            self._parameter(variable, value)

    def _parameter(self, variable: str, value: object) -> None:
        self._made[id(value)] = variable
        self._parameters.append(variable)
        self.bindings[random_name()] = value

    # --- imports -------------------------------------------------------------------------

    def _import(self, module: str, variable: str) -> None:
        if module == "__main__":
            raise CodegenError(
                f"{variable!r} is the program's own module, which the worker does not have"
            )
        name = _renamed(module, self._modules)
        alias = ast.alias(name=name, asname=None if name == variable else variable)
        self._imports.append(ast.Import(names=[alias]))

    def _import_from(self, module: str, path: str, variable: str) -> None:
        name, *attributes = path.split(".")
        module = _renamed(module, self._modules)
        first = variable if not attributes else random_name(f"{name}_")
        asname = None if first == name else first
        alias = ast.alias(name=name, asname=asname)
        self._imports.append(ast.ImportFrom(module=module, names=[alias], level=0))
        if attributes:
            value: ast.expr = _load(first)
            for attribute in attributes:
                value = ast.Attribute(value=value, attr=attribute, ctx=ast.Load())
            self._imports.append(_assign(variable, value))

    def _import_submodules(self, definition: Definition, name: str, module: ModuleType) -> None:
        # ``import a.b`` in the user's module also made the ``b`` of its ``a.b``.
        for node in ast.walk(definition):
            path = _dotted(node, name)
            submodule = f"{module.__name__}.{path}"
            if path and isinstance(sys.modules.get(submodule), ModuleType):
                self._import(submodule, random_name("submodule_"))

    # --- functions -----------------------------------------------------------------------

    def _function(
        self, variable: str, value: object, function: FunctionType, *, decorated: bool
    ) -> None:
        self._made[id(value)] = variable
        definition = isolate(function)
        if not isinstance(definition, ast.Lambda) and not decorated:
            definition.decorator_list = []
        if value is not function and not _decorators(definition):
            # Wrapped by a call: the wrapper is a value like any other.
            self._parameter(variable, value)
            return
        self._needs(definition, function)
        self._set_defaults(definition, function)
        self._definitions[variable] = _named(definition, variable)

    def _needs(self, definition: Definition, function: FunctionType) -> None:
        renames: dict[str, str] = {}
        decorators = {
            node.id
            for each in _decorators(definition)
            for node in ast.walk(each)
            if isinstance(node, ast.Name)
        }
        for name in free_names(definition, function.__code__.co_freevars):
            found = _look_up(function, name)
            if name in decorators and found.origin == "nowhere":
                raise CodegenError(
                    f"the decorator {name!r} of {function.__qualname__} is out of reach from the "
                    "function: ship it undecorated, or define the decorator in its module"
                )
            variable, is_new = self._claim(name, found, definition)
            if variable != name:
                renames[name] = variable
            if is_new and found.origin == "builtin":
                self._import_from("builtins", name, variable)
            elif is_new:
                own = _goes_by(found.value, name)
                self._bind(variable, found.value, user=function.__module__, decorated=own)
            if isinstance(found.value, ModuleType):
                self._import_submodules(definition, name, found.value)
        _Renamer(renames).visit(definition)

    def _set_defaults(self, definition: Definition, function: FunctionType) -> None:
        user = function.__module__
        defaults = function.__defaults__ or ()
        definition.args.defaults = [self._value(each, user) for each in defaults]
        named = function.__kwdefaults__ or {}
        definition.args.kw_defaults = [
            self._value(named[each.arg], user) if each.arg in named else None
            for each in definition.args.kwonlyargs
        ]

    def _partial(self, variable: str, value: functools.partial[object], user: str) -> None:
        self._made[id(value)] = variable
        module = random_name("functools_")
        self._import("functools", module)
        maker = ast.Attribute(value=_load(module), attr="partial", ctx=ast.Load())
        function = self._value(value.func, user)
        args = [function, *(self._value(each, user) for each in value.args)]
        named = {name: self._value(each, user) for name, each in value.keywords.items()}
        keywords = [ast.keyword(arg=name, value=each) for name, each in named.items()]
        call = ast.Call(func=maker, args=args, keywords=keywords)
        self._definitions[variable] = _assign(variable, call)

    def _value(self, value: object, user: str) -> ast.expr:
        """Return the syntax of a value that has no name of its own."""
        try:
            return literal_syntax(checked_literal(value))
        except CodegenError:
            variable = self._fresh("value", value)
        self._bind(variable, value, user=user, decorated=_goes_by(value, None))
        return _load(variable)


# --- what a value is ---------------------------------------------------------------------


def _look_up(function: FunctionType, name: str) -> _Found:
    cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    if name in cells:
        try:
            return _Found(value=cells[name].cell_contents, origin="user")
        except ValueError:
            raise CodegenError(
                f"the variable {name!r} of {function.__qualname__} has no value yet: "
                "assign it before the function is shipped"
            ) from None
    if name in function.__globals__:
        return _Found(value=function.__globals__[name], origin="user")
    if hasattr(builtins, name):
        return _Found(value=getattr(builtins, name), origin="builtin")
    return _Found(value=_MISSING, origin="nowhere")


def _goes_by(value: object, name: str | None) -> bool:
    """Tell whether a function goes by its own name, so that it is what its decorators made."""
    own = getattr(value, "__name__", None)
    plain = value if isinstance(value, FunctionType) else getattr(value, "__wrapped__", None)
    if not isinstance(plain, FunctionType):
        return False
    if "." in plain.__code__.co_qualname:
        # Made within a function or a class: nothing but the name that it is held under tells.
        return name in (own, plain.__code__.co_name)
    return name in (None, own) and plain.__globals__.get(plain.__name__) is value


def _is_decorated(value: object) -> bool:
    return isinstance(getattr(value, "__wrapped__", None), FunctionType)


def _importable(value: object, user: str, modules: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the module and the path there that give this very value in the worker, if any."""
    module = getattr(value, "__module__", None)
    path = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(module, str) or not isinstance(path, str) or module == "__main__":
        return None
    ours = isinstance(value, FunctionType) or _is_decorated(value) or module == user
    if ours and not _is_installed(module, modules):
        return None
    found: object = sys.modules.get(module)
    for part in path.split("."):
        found = getattr(found, part, None)
    return (module, path) if found is value else None


def _is_installed(module: str, modules: Mapping[str, str]) -> bool:
    if module.partition(".")[0] in sys.stdlib_module_names or _renamed(module, modules) != module:
        return True
    file = getattr(sys.modules.get(module), "__file__", None)
    return isinstance(file, str) and not _SITES.isdisjoint(PurePath(file).parts)


def _renamed(module: str, modules: Mapping[str, str]) -> str:
    parts = module.split(".")
    for end in range(len(parts), 0, -1):
        name = modules.get(".".join(parts[:end]))
        if name is not None:
            return ".".join([name, *parts[end:]])
    return module


# --- syntax ------------------------------------------------------------------------------


def _decorators(definition: Definition) -> list[ast.expr]:
    return [] if isinstance(definition, ast.Lambda) else definition.decorator_list


def _named(definition: Definition, variable: str) -> ast.stmt:
    if isinstance(definition, ast.Lambda):
        return _assign(variable, definition)
    definition.name = variable
    return definition


def _assign(variable: str, value: ast.expr) -> ast.stmt:
    return ast.Assign(targets=[ast.Name(id=variable, ctx=ast.Store())], value=value)


def _load(variable: str) -> ast.Name:
    return ast.Name(id=variable, ctx=ast.Load())


def _dotted(node: ast.AST, name: str) -> str:
    """Return ``b.c`` for the syntax ``name.b.c``, and nothing for any other."""
    path: list[str] = []
    while isinstance(node, ast.Attribute):
        path.insert(0, node.attr)
        node = node.value
    return ".".join(path) if isinstance(node, ast.Name) and node.id == name else ""


def _ordered(definitions: dict[str, ast.stmt]) -> list[ast.stmt]:
    """Return the statements, each after those whose variables it uses as it runs.

    Raises:
        CodegenError: Two need each other at once.
    """
    ordered: dict[str, ast.stmt] = {}
    underway: set[str] = set()

    def place(variable: str) -> None:
        if variable in ordered or variable not in definitions:
            return
        if variable in underway:
            raise CodegenError(f"{variable!r} is needed for its own definition: take it apart")
        underway.add(variable)
        for name in _used_at_once(definitions[variable]):
            place(name)
        ordered[variable] = definitions[variable]

    for variable in definitions:
        place(variable)
    return list(ordered.values())


def _used_at_once(statement: ast.stmt) -> list[str]:
    """Return the names that the statement uses as it runs; a function's body runs later."""
    value = statement.value if isinstance(statement, ast.Assign) else statement
    parts: list[ast.AST] = [value]
    if isinstance(value, Definition):
        defaults = (each for each in value.args.kw_defaults if each is not None)
        parts = [*_decorators(value), *value.args.defaults, *defaults]
    names = (node for part in parts for node in ast.walk(part) if isinstance(node, ast.Name))
    return [node.id for node in names]


class _Renamer(ast.NodeTransformer):
    """Gives names that a definition takes from around itself the factory's variables for them."""

    def __init__(self, names: dict[str, str]) -> None:
        self._names = names

    def visit_Name(self, node: ast.Name) -> ast.AST:
        node.id = self._names.get(node.id, node.id)
        return node
