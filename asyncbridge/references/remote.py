"""What stands, here, for an object in the worker: all that is done with it builds code."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

from asyncbridge.codegen import (
    Assign,
    Attribute,
    BinaryOperation,
    Block,
    Comparison,
    Delete,
    UnaryOperation,
)
from asyncbridge.codegen import Literal as Constant
from asyncbridge.errors import BridgeClosed, StaleReference
from asyncbridge.references.code import RemoteCode, show, show_key
from asyncbridge.references.operators import RemoteOperators

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from asyncbridge.codegen import Expression, Node
    from asyncbridge.promise import Promise
    from asyncbridge.references.expression import RemoteExpression
    from asyncbridge.references.iteration import RemoteIterator
    from asyncbridge.references.ref import Ref

    T = TypeVar("T")

__all__ = ["Home", "Remote", "foreign"]

_COMPARES = frozenset(("<", "<=", ">", ">=", "==", "!="))


class Home(Protocol):
    """What commands are sent by: a bridge."""

    def _labelled(self, labels: dict[str, str]) -> AbstractContextManager[None]:
        """Have errors call arguments so, by the names of their bindings."""
        ...

    def send(
        self,
        code: str | Node,
        bindings: dict[str, object] | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        name: str | None = None,
        keep: bool = False,
        _keep: int = 0,
    ) -> Promise[Any]:
        """Send a command."""
        ...


class Remote(RemoteOperators):
    """An object in the worker, or code that gives one.

    Attributes, items, calls, operators and comparisons give a ``RemoteExpression``: code, of which
    nothing is sent until it is awaited, or used. To assign to an attribute or an item, or to delete
    one, queues a command, as ``bridge.send`` does.

    Its own names are few, so that those of the object are free; ``attr`` reaches any.
    """

    __slots__ = ("__weakref__",)

    # Said by the codec, which does not know this class.
    _wire_advice: ClassVar[str] = (
        "it stands for what is in the worker, among the bindings of a command alone"
    )

    # Awaiting it is refused, so a handler that returns it has returned the thing itself.
    _refuses_await: ClassVar[bool] = True

    # --- what kinds of it give ---

    @abstractmethod
    def _home(self) -> Home:
        """Return the bridge that it is behind.

        Raises:
            BridgeClosed: That is gone.
            StaleReference: The object is.
        """

    @abstractmethod
    def _said(self) -> str:
        """Return how a reader would write it."""

    @abstractmethod
    def _code(self, code: RemoteCode) -> Expression:
        """Return the code that gives the object."""

    # --- its value ---

    def value(self) -> Promise[Any]:
        """Return a promise of the object's value, which travels here.

        It is rejected with ``SerializationError`` where that has no wire form.
        """
        return self._sent(transform=self._checked)

    def keep(self) -> Promise[Ref]:
        """Return a promise of a reference to the object, which stays in the worker."""
        return self._sent(keep=True)

    # --- what builds code ---

    def attr(self, name: str) -> RemoteExpression:
        """Build ``self.name``, whatever the name is."""
        return self._derived(
            lambda: f"{self._said()}.{name}",
            lambda code: Attribute(self._code(code), name, dunder=True),
        )

    def __call__(self, *args: Any, **keywords: Any) -> RemoteExpression:
        """Build ``self(*args, **keywords)``."""

        def said() -> str:
            given = [*map(show, args), *(f"{name}={show(each)}" for name, each in keywords.items())]
            return f"{self._said()}({', '.join(given)})"

        return self._derived(
            said, lambda code: code.call(self._code(code), args, keywords, self._said())
        )

    def __getitem__(self, key: Any) -> RemoteExpression:
        return self._derived(
            lambda: f"{self._said()}[{show_key(key)}]", lambda code: self._item(code, key)
        )

    def __setitem__(self, key: Any, value: Any) -> None:
        self._do(
            f"{self._said()}[{show_key(key)}] = {show(value)}",
            lambda code: Assign(self._item(code, key), code.value(value)),
        )

    def __delitem__(self, key: Any) -> None:
        self._do(
            f"del {self._said()}[{show_key(key)}]", lambda code: Delete((self._item(code, key),))
        )

    if not TYPE_CHECKING:
        # Hidden from type checkers for a moment: they know of it by the declaration below.
        def __getattr__(self, name: str) -> RemoteExpression:
            if name.startswith("_"):
                raise AttributeError(
                    f"{self!r}: names with an underscore in front are not asked of the worker; "
                    f".attr({name!r}) does so",
                    name=name,
                    obj=self,
                )
            return self.attr(name)

        def __setattr__(self, name: str, value: object) -> None:
            if name.startswith("_") and hasattr(type(self), name):
                object.__setattr__(self, name, value)
                return
            self._refuse_own(name)
            self._do(
                f"{self._said()}.{name} = {show(value)}",
                lambda code: Assign(self._code(code).attr(name), code.value(value)),
            )

        def __delattr__(self, name: str) -> None:
            self._refuse_own(name)
            self._do(
                f"del {self._said()}.{name}",
                lambda code: Delete((self._code(code).attr(name),)),
            )

    else:

        def __getattr__(self, name: str) -> Any: ...
        def __setattr__(self, name: str, value: Any) -> None: ...

    def __aiter__(self) -> RemoteIterator:
        from asyncbridge.references.iteration import RemoteIterator  # noqa: PLC0415 - a cycle

        return RemoteIterator(self)

    async def __aenter__(self) -> Any:
        """Enter it as a context manager, in the worker; give what that gives."""
        from asyncbridge.references.contexts import enter  # noqa: PLC0415 - a cycle

        return await enter(self)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        from asyncbridge.references.contexts import leave  # noqa: PLC0415 - a cycle

        return await leave(self, error)

    def __copy__(self) -> Remote:
        # The object is one: another reference to it here would be the same.
        return self

    def __deepcopy__(self, memo: object) -> Remote:
        return self

    def __reduce__(self) -> Any:
        raise TypeError(
            f"{self!r} is code, and cannot be pickled: `await` its keep(), and pickle that reference"
        )

    def __dir__(self) -> list[str]:
        return [name for name in object.__dir__(self) if not name.startswith("__array")]

    # --- inner steps ---

    def _sent(
        self, *, transform: Callable[[Any], Any] | None = None, keep: bool = False
    ) -> Promise[Any]:
        home = self._home()
        code = RemoteCode(home)
        node = self._code(code)
        with home._labelled(code.labels):
            return home.send(
                node, code.bindings or None, transform=transform, name=self._said(), keep=keep
            )

    def _checked(self, value: object) -> object:
        """Return a value that has come here; refuse one that has not."""
        from asyncbridge.references.ref import refuse_ref  # noqa: PLC0415 - a cycle

        return refuse_ref(value, self._said())

    def _do(self, said: str, build: Callable[[RemoteCode], Node]) -> None:
        home = self._home()
        code = RemoteCode(home)
        statement: Any = build(code)
        with home._labelled(code.labels):
            home.send(Block((statement, Constant(None))), code.bindings or None, name=said)

    def _item(self, code: RemoteCode, key: object) -> Expression:
        return self._code(code)[code.index(key)]

    def _operated(self, symbol: Any, left: object, right: object) -> RemoteExpression:
        kind: Any = Comparison if symbol in _COMPARES else BinaryOperation
        return self._derived(
            lambda: f"({show(left)} {symbol} {show(right)})",
            lambda code: kind(code.value(left), symbol, code.value(right)),
        )

    def _prefixed(self, symbol: Any) -> RemoteExpression:
        return self._derived(
            lambda: f"({symbol}{self._said()})",
            lambda code: UnaryOperation(symbol, self._code(code)),
        )

    def _called(self, function: str, *args: object) -> RemoteExpression:
        return self._derived(
            lambda: f"{function}({', '.join(map(show, args))})",
            lambda code: code.call(code.builtin(function), args, {}, function),
        )

    def _derived(
        self, said: Callable[[], str], build: Callable[[RemoteCode], Expression]
    ) -> RemoteExpression:
        from asyncbridge.references.expression import RemoteExpression  # noqa: PLC0415 - a cycle

        return RemoteExpression(self, said, build)

    def _refuse_own(self, name: str) -> None:
        if name.startswith("_") or hasattr(type(self), name):
            why = (
                "names with an underscore in front are not the worker's"
                if name.startswith("_")
                else f"{name!r} is a name of {type(self).__name__}'s own"
            )
            raise AttributeError(
                f'{why}; bridge.send("setattr(x, name, value)", ...) sets it there, and '
                '"delattr(x, name)" deletes it',
                name=name,
                obj=self,
            )


def foreign(value: Remote) -> Exception:
    """Return the refusal of what is behind another bridge."""
    try:
        home = value._home()
    except (BridgeClosed, StaleReference) as error:
        return error
    return ValueError(
        f"{value!r} is in the worker of another bridge, {home!r}: await its value() and pass that"
    )
