"""A bridge that records what it is sent, and a worker that fails what it is told to."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import gc
import re
import weakref
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeGuard, cast

import pytest

from asyncbridge.client.current import enter, leave
from asyncbridge.codegen import Node, render
from asyncbridge.errors import DependencyError, RemoteError, SentCommand
from asyncbridge.models.mirrors.sending import current_bridge
from asyncbridge.promise import Promise
from asyncbridge.promise.output import OutputLog
from asyncbridge.promise.times import Times
from asyncbridge.references import PromisedValue

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Mapping, Sequence

    from asyncbridge.client import Bridge


@dataclass(kw_only=True, eq=False)
class Sent:
    """A command as the bridge got it; the source of its promise."""

    id: int
    code: str
    bindings: dict[str, object]
    label: str
    after: tuple[Promise[Any], ...]
    annotate: Callable[[RemoteError], None]
    sets: tuple[str, ...] = ()
    promise: Promise[Any] = field(init=False)
    state: str = "queued"
    ahead: int = 0
    output: OutputLog = field(default_factory=OutputLog)
    times: Times = field(default_factory=Times)
    cancelled_phase: str | None = None

    def unhandled(self, error: BaseException) -> dict[str, str]:
        return {"command": self.label}

    def cancel(self, promise: Promise[Any], msg: object, mode: str | None) -> bool:
        return promise._settle_cancelled(msg)

    def expression(self, promise: Promise[Any]) -> PromisedValue:
        return PromisedValue(promise, self.label, lambda: None)


class RecordingBridge:
    """What mirrors need of a bridge; commands are settled when a test says so."""

    def __init__(self, name: str = "recording") -> None:
        self.name = name
        self.has_keras = True
        self._has_no_loop = False
        self.sent: list[Sent] = []
        self.released: list[str] = []
        self.about: dict[str, Callable[[], str] | None] = {}
        self._faults: dict[int, RemoteError] = {}
        self._facts: dict[str, Mapping[str, object]] = {}

    @property
    def _loop(self) -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    def __repr__(self) -> str:
        return f"<Bridge {self.name}>"

    def send(
        self,
        code: str | Node,
        bindings: Mapping[str, object] | None = None,
        *,
        transform: Callable[[Any], Any] | None = None,
        lifetime: str = "command",
        name: str | None = None,
        timeout: float | None = None,
        after: Sequence[Promise[Any]] = (),
        annotate: Callable[[RemoteError], None] | None = None,
        promise_factory: Callable[..., Promise[Any]] = Promise,
        _sets: tuple[str, ...] = (),
    ) -> Promise[Any]:
        assert annotate is not None
        promise = promise_factory(loop=asyncio.get_running_loop())
        if transform is not None:
            promise.transform(transform)
        item = Sent(
            id=len(self.sent) + 1,
            code=code if isinstance(code, str) else render(code),
            bindings=dict(bindings or {}),
            label=name or "",
            after=tuple(after),
            annotate=annotate,
            sets=_sets,
        )
        item.promise = promise
        promise._attach(item)
        self.sent.append(item)
        return promise

    def tie(self, owner: object, name: str, about: Callable[[], str] | None = None) -> None:
        self.about[name] = about
        weakref.finalize(owner, self.released.append, name)

    # --- for the tests ---

    def code(self, start: int = 0) -> list[str]:
        """Return the commands' code, with the random part of each name counted out."""
        return self.plain("\n---\n".join(item.code for item in self.sent)).split("\n---\n")[start:]

    def said(self, start: int = 0) -> list[str]:
        """Return the first statement of each command, as ``code`` has it, behind the imports."""
        bodies = (
            [line for line in code.splitlines() if not re.match("import |from ", line)]
            for code in self.code(start)
        )
        return [body[0] for body in bodies]

    def plain(self, text: str) -> str:
        """Replace the random names in a text: ``dense_1`` is the first one that was sent."""
        seen: dict[str, int] = {}
        names: dict[str, str] = {}
        for item in self.sent:
            for name in re.findall(r"\b[a-z][a-z0-9_]*_[a-zA-F]{25}\b", item.code):
                if name not in names:
                    stem = name[:-26]
                    seen[stem] = seen.get(stem, 0) + 1
                    names[name] = f"{stem}_{seen[stem]}"
        for name, short in names.items():
            text = text.replace(name, short)
        return text

    @contextlib.contextmanager
    def current(self) -> Generator[None]:
        """Be the current bridge."""
        token = enter(cast("Bridge", self))
        try:
            yield
        finally:
            leave(cast("Bridge", self), token)

    def tell(self, **facts: Mapping[str, object]) -> None:
        """Set what ``worker_models.state`` says from now on, by the short names of ``code``."""
        self._facts.update(facts)

    def name_of(self, label: str) -> str:
        """Return the name that the first command with this label makes."""
        code = next(item.code for item in self.sent if item.label == label)
        return next(line for line in code.splitlines() if " = " in line).partition(" = ")[0]

    async def work(
        self, faults: Mapping[str, RemoteError] | None = None, value: object = None
    ) -> None:
        """Settle all commands in order, as a worker would.

        Args:
            faults: What the commands with these labels raise.
            value: What all others return; facts that a command asks for come beside it.
        """
        for item in self.sent:
            if not item.promise.done():
                self._settle(item, dict(faults or {}), value)
        await asyncio.sleep(0)  # the promises' callbacks run

    def _settle(self, item: Sent, faults: dict[str, RemoteError], value: object) -> None:
        ids = [promise.command_id for promise in item.after]
        because = next((i for i in ids if i in self._faults), None)
        if because is None and item.label not in faults:
            item.promise.set_result(self._raw(item, value))
            return
        error = faults.get(item.label) if because is None else self._unrun(item, because)
        assert error is not None
        error.command = SentCommand(id=item.id)
        self._faults[item.id] = error
        item.annotate(error)
        item.promise.set_exception(error)
        # What holds the bindings and the dependencies is the client's; here nobody needs them.
        item.after = ()

    def _raw(self, item: Sent, value: object) -> object:
        """Return the value of the command's last expression."""
        last = ast.parse(item.code).body[-1]
        asked = last.value if isinstance(last, ast.Expr) else None
        if _is_state(asked):
            return self._states(asked)
        if isinstance(asked, ast.Tuple) and _is_state(asked.elts[-1]):
            return value, self._states(asked.elts[-1])
        return value

    def _states(self, call: ast.Call) -> list[Mapping[str, object]]:
        names = [
            self.plain(argument.id) for argument in call.args if isinstance(argument, ast.Name)
        ]
        return [self._facts.get(name, {}) for name in names]

    def _unrun(self, item: Sent, because: int | None) -> DependencyError:
        assert because is not None
        root = self._faults[because]
        command = SentCommand(id=because)
        cause = RemoteError(root.type, root.message, command=command, subjects=root.subjects)
        return DependencyError(root.type, root.message, cause=cause, subjects=root.subjects)

    def forget(self) -> None:
        """Drop what was recorded, as a bridge drops what is settled."""
        self.sent.clear()
        self._faults.clear()


def _is_state(node: ast.expr | None) -> TypeGuard[ast.Call]:
    """Tell a call of the function that tells facts."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "worker_models.state"


@pytest.fixture
def bridge() -> Iterator[RecordingBridge]:
    """A recording bridge that is the current one."""
    recording = RecordingBridge()
    with recording.current():
        yield recording


@pytest.fixture
def other_bridge() -> RecordingBridge:
    """A second bridge, that nobody entered."""
    return RecordingBridge("other")


@pytest.fixture
def no_bridge() -> None:
    """No bridge is open in this process, whatever other tests left."""
    gc.collect()
    assert current_bridge() is None
