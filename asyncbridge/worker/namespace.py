"""The scope that commands share (the paper's section 4.4), and how a command runs in it.

The scope is the dict of a real module, registered in ``sys.modules``: what commands define has
a home there, so pickle, dataclasses and ``inspect.getsource`` of a function work on it.
"""

from __future__ import annotations

import ast
import builtins
import hashlib
import io
import keyword
import linecache
import sys
import types
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from asyncbridge.errors import IdentifierError
from asyncbridge.parsing import parse

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["COMMAND_PREFIX", "NAMESPACE_NAME", "Namespace"]

NAMESPACE_NAME: Final = "asyncbridge_namespace"
"""The module's name in ``sys.modules``, and ``__name__`` in every command."""
COMMAND_PREFIX: Final = "<command "
"""How the file name of every command's code begins."""
CACHE_SIZE: Final = 512
"""Compiled sources that are kept."""

_ABSENT: Final = object()
_NOTHING: Final[Mapping[str, object]] = types.MappingProxyType({})


class Namespace:
    """The names that all commands of a worker see.

    One thread runs commands, binds and releases: values die there, with their destructors.
    Only ``names`` may be called from another thread.
    """

    def __init__(self, *, cache_size: int = CACHE_SIZE) -> None:
        self._module = types.ModuleType(NAMESPACE_NAME, "The scope shared by all commands.")
        self._scope: dict[str, object] = vars(self._module)
        self._programs = _Programs(cache_size)
        # From id() to name; None whenever a name may have changed since it was built.
        self._index: dict[int, str] | None = None
        self._ensure()

    def run(
        self,
        code: str,
        bindings: Mapping[str, object] = _NOTHING,
        *,
        lifetime: str = "command",
        left: dict[str, object] | None = None,
    ) -> object:
        """Run a command's code and return the value of its last expression, else None.

        With the lifetime ``"command"`` each binding's name is put back afterwards to what it
        was before, also when the code raised, rebound or deleted it: a name that stood for
        something else stands for that again, any other is gone. With ``"eternal"`` the
        bindings stay. Code that does not compile, or a name that is refused, binds nothing.

        Args:
            code: Python source, whose frames are named after a hash of it.
            bindings: Names to set before the code runs.
            lifetime: ``"command"`` or ``"eternal"``.
            left: Takes what the bindings' names stand for when the code has ended.

        Raises:
            IdentifierError: A binding's name is refused.
            ValueError: The lifetime is neither of the two.
            SyntaxError: The code does not compile; its text and position are filled in.
            BaseException: Whatever the code raises, as it is.
        """
        if lifetime not in ("command", "eternal"):
            raise ValueError(f"lifetime {lifetime!r}: it must be 'command' or 'eternal'")
        for name in bindings:
            _check_name(name)
        program = self._programs.get(code)
        self._ensure()
        before = self._set(bindings) if bindings else _NOTHING
        try:
            return program.run(self._scope)
        finally:
            self._index = None
            if left is not None:
                left.update({name: self._scope[name] for name in before if name in self._scope})
            if before and lifetime == "command":
                self._put_back(before)

    def bind(self, name: str, value: object) -> None:
        """Set one name, which stays until it is released.

        Raises:
            IdentifierError: The name is refused.
        """
        _check_name(name)
        self._index = None
        self._scope[name] = value

    def release(self, names: Iterable[str]) -> None:
        """Delete these names, where present; Python's own (``__name__`` and such) stay."""
        self._index = None
        for name in names:
            if not _is_dunder(name):
                self._scope.pop(name, None)

    @property
    def module(self) -> types.ModuleType:
        """The module whose dict it is."""
        return self._module

    def names(self) -> tuple[str, ...]:
        """Return the names that commands and bindings have set, in the order of their setting."""
        # list() of a dict runs no Python code, so no other thread can come in between.
        return tuple(name for name in list(self._scope) if _is_own(name))

    def value_of(self, name: str) -> object:
        """Return what the name stands for.

        Raises:
            NameError: It stands for nothing, any more or yet.
        """
        value = self._scope.get(name, _ABSENT)
        if value is _ABSENT:
            raise NameError(f"name {name!r} is not defined in the worker", name=name)
        return value

    def ident_of(self, name: str) -> int:
        """Return the ``id()`` of what the name stands for, 0 for nothing."""
        value = self._scope.get(name, _ABSENT)
        return 0 if value is _ABSENT else id(value)

    def name_of(self, obj: object) -> str | None:
        """Return the first name that stands for this very object, if any.

        It goes by identity: no method of the user's objects is called.
        """
        if self._index is None:
            self._index = self._built_index()
        name = self._index.get(id(obj))
        # A thread of the user's may have rebound the name: an id alone proves nothing.
        return name if name is not None and self._scope.get(name) is obj else None

    def close(self) -> None:
        """Forget every name, the compiled code and its source lines."""
        self._index = None
        self._programs.clear()
        self._scope.clear()
        if sys.modules.get(NAMESPACE_NAME) is self._module:
            del sys.modules[NAMESPACE_NAME]

    def _ensure(self) -> None:
        # Code may delete or rebind any of these; the next command starts from a sound scope.
        sys.modules[NAMESPACE_NAME] = self._module
        self._scope["__name__"] = NAMESPACE_NAME
        self._scope["__builtins__"] = builtins

    def _set(self, bindings: Mapping[str, object]) -> Mapping[str, object]:
        """Set names; return what they stood for."""
        before = {name: self._scope.get(name, _ABSENT) for name in bindings}
        self._scope.update(bindings)
        return before

    def _put_back(self, before: Mapping[str, object]) -> None:
        for name, value in before.items():
            if value is _ABSENT:
                self._scope.pop(name, None)
            else:
                self._scope[name] = value

    def _built_index(self) -> dict[int, str]:
        index: dict[int, str] = {}
        for name, value in list(self._scope.items()):
            if _is_own(name):
                index.setdefault(id(value), name)
        return index


@dataclass(frozen=True, slots=True, kw_only=True)
class _Program:
    """Compiled source: its statements, and its last expression apart."""

    filename: str
    body: types.CodeType | None
    tail: types.CodeType | None
    lines: tuple[int, None, list[str], str]
    """What ``linecache`` has of it. With no time of change it never goes stale."""

    @property
    def defines(self) -> bool:
        """Tell whether functions, classes or generators of it may outlive its run."""
        parts = (self.body, self.tail)
        return any(
            isinstance(constant, types.CodeType)
            for part in parts
            if part is not None
            for constant in part.co_consts
        )

    def run(self, scope: dict[str, object]) -> object:
        if self.body is not None:
            exec(self.body, scope)
        return None if self.tail is None else eval(self.tail, scope)


class _Programs:
    """Compiled sources, the least recently used of which go first.

    The source lines stand in ``linecache`` as long as the program is kept. Lines of a program
    that defines functions or classes, which may live on, then stay while they are among the
    last ``size`` of such: a stream of one-off commands never takes them away.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._programs: OrderedDict[str, _Program] = OrderedDict()
        self._definitions: OrderedDict[str, None] = OrderedDict()

    def get(self, source: str) -> _Program:
        program = self._programs.pop(source, None) or _compiled(source)
        self._programs[source] = program
        self._definitions.pop(program.filename, None)
        # Set each time: code may call linecache.clearcache().
        linecache.cache[program.filename] = program.lines
        if len(self._programs) > self._size:
            self._evict(self._programs.popitem(last=False)[1])
        return program

    def clear(self) -> None:
        for filename in (*(p.filename for p in self._programs.values()), *self._definitions):
            linecache.cache.pop(filename, None)
        self._programs.clear()
        self._definitions.clear()

    def _evict(self, program: _Program) -> None:
        if not program.defines:
            linecache.cache.pop(program.filename, None)
            return
        self._definitions[program.filename] = None
        if len(self._definitions) > self._size:
            linecache.cache.pop(self._definitions.popitem(last=False)[0], None)


def _compiled(source: str) -> _Program:
    digest = hashlib.blake2b(source.encode("utf-8", "surrogatepass"), digest_size=4)
    filename = f"{COMMAND_PREFIX}{digest.hexdigest()}>"
    try:
        return _split(source, filename)
    except SyntaxError as error:
        _explain(error, source)
        raise


def _split(source: str, filename: str) -> _Program:
    # dont_inherit: this file's own __future__ imports are not the command's.
    tree = parse(source, filename)
    assert isinstance(tree, ast.Module), "which is what the mode 'exec' gives"
    tail = None
    if tree.body and isinstance(last := tree.body[-1], ast.Expr):
        del tree.body[-1]
        tail = compile(ast.Expression(last.value), filename, "eval", dont_inherit=True)
    body = compile(tree, filename, "exec", dont_inherit=True) if tree.body else None
    lines = (len(source), None, _lines(source), filename)
    return _Program(filename=filename, body=body, tail=tail, lines=lines)


def _explain(error: SyntaxError, source: str) -> None:
    """Fill in what Python leaves out of an error in source that stands in no file."""
    lines = _lines(source)
    if error.text is None and error.lineno and error.lineno <= len(lines):
        error.text = lines[error.lineno - 1]
    if _is_top_level_await(source):
        error.msg = (
            f"{error.msg}: commands are synchronous, they run one after another in the worker's "
            "own thread; call a plain function, or asyncio.run() a coroutine"
        )


def _is_top_level_await(source: str) -> bool:
    flag = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    try:
        compile(source, "<command>", "exec", flag, dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def _lines(source: str) -> list[str]:
    # Not str.splitlines: it also splits at form feeds and the like, where Python does not.
    # Each line ends with a newline, as linecache has it: Python's carets count on it.
    return [line.rstrip("\n") + "\n" for line in io.StringIO(source, newline=None)]


def _check_name(name: str) -> None:
    if not name.isidentifier():
        raise IdentifierError(f"binding {name!r}: it is not a Python identifier")
    if keyword.iskeyword(name):
        raise IdentifierError(f"binding {name!r}: it is a Python keyword")
    if _is_dunder(name):
        raise IdentifierError(f"binding {name!r}: names with two underscores are Python's own")
    # Python reads identifiers in code in NFKC: under another spelling it would not be found.
    if (normal := unicodedata.normalize("NFKC", name)) != name:
        raise IdentifierError(f"binding {name!r}: in code Python reads it as {normal!r}; use that")


def _is_dunder(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_own(name: object) -> bool:
    # Code can put keys that are no text into its globals(); they are not names.
    return type(name) is str and not _is_dunder(name)
