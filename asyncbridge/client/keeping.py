"""What lives in the worker: bindings and references, what keeps them, and what they weigh."""

from __future__ import annotations

import logging
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, Self

from asyncbridge.client.adopting import adopt_binding, adopt_ref
from asyncbridge.client.arguments import named_as
from asyncbridge.client.inventory import BindingInfo, MemoryInfo
from asyncbridge.client.queueing import Queueing
from asyncbridge.client.scopes import Scope, current_scope
from asyncbridge.codegen.names import check_module
from asyncbridge.lifetime import Collected, Hold, policy_of
from asyncbridge.protocol.keeping import Tie, Told
from asyncbridge.references import Binding, Ref, RemoteModule

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping
    from contextlib import AbstractContextManager

    from asyncbridge.client.handing import Handing
    from asyncbridge.client.pending import Pending
    from asyncbridge.lifetime import Finalizers, Lifetime, Policy
    from asyncbridge.lifetime.finalizers import Former
    from asyncbridge.promise import Promise

__all__ = ["Change", "Keeping"]

log = logging.getLogger(__name__)

BOUND_ANEW = "its name was bound anew, by another put()"
DELETED = "by delete()"
PICKLED_LEASE_S = 300.0
"""For how long the object of a pickled handle stays, whoever lets go of it meanwhile."""


class Change:
    """What a command is to make of some names here, taken back if it fails.

    Args:
        finalizers: The bridge's.
    """

    def __init__(self, finalizers: Finalizers) -> None:
        self._finalizers = finalizers
        self._names: list[tuple[str, Hold | None, Former, object, str]] = []
        self._replaced: tuple[Binding, Binding, MutableMapping[str, Binding]] | None = None

    def add(
        self, name: str, former: Former, hold: Hold | None = None, handle: object = None
    ) -> None:
        """Note one of them.

        Args:
            name: It.
            former: Who had it before.
            hold: Who has it now, None if nobody has.
            handle: Who must not be garbage before it is known.
        """
        released = handle._released if isinstance(handle, Binding) else ""
        self._names.append((name, hold, former, handle, released))

    def replace(self, handles: MutableMapping[str, Binding], handle: Binding) -> None:
        """Let the present handle on a name be of no use any more: the name is another one's.

        Args:
            handles: The newest of each name.
            handle: The one that takes its place.
        """
        before = handles.get(handle.name)
        handles[handle.name] = handle
        if before is not None and not before._released:
            self._replaced, before._released = (before, handle, handles), BOUND_ANEW

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.take_back()

    def take_back(self) -> None:
        """Let the names stand for what they stood for before."""
        if self._replaced is not None:
            (before, after, handles), self._replaced = self._replaced, None
            if handles.get(before.name) is after:
                before._released, handles[before.name] = "", before
        names, self._names = self._names, []
        for name, hold, former, handle, released in reversed(names):
            if isinstance(handle, Binding) and hold is None:
                handle._released = released
            if self._finalizers.is_current(name, hold):
                self._finalizers.restore(name, former)

    def ended(self, promise: Promise[Any]) -> None:
        """Take the command's end."""
        if promise.state != "fulfilled":  # to ask for the error would be to have taken it
            self.take_back()


class Keeping(Queueing):
    """Adds to a bridge what concerns the objects that stay in its worker."""

    send: Callable[..., Promise[Any]]
    """As of ``Bridge``."""

    def put(
        self,
        value: object,
        *,
        name: str | None = None,
        lifetime: Lifetime = "collected",
        copy: bool | None = None,
        one_hot: bool | None = None,
    ) -> Promise[Binding]:
        """Set a name in the worker's namespace.

        Args:
            value: What it stands for.
            name: The name, a random one by default.
            lifetime: ``"collected"`` drops it when the returned binding is garbage,
                ``"eternal"`` never; any other policy of ``asyncbridge.lifetime``, or your own.
            copy: As for ``send``.
            one_hot: As of ``send``.

        Raises:
            ValueError: The lifetime is ``"command"``: there is no command to outlive.

        The promise is rejected with ``NameTaken`` if the name is another session's binding.
        """
        policy = policy_of(lifetime)
        if policy.terms.ends == "command":
            raise ValueError("a binding of its own outlives its command: collected or eternal")
        tools = self._tools()
        key = tools.random_name() if name is None else tools.check_identifier(name)
        binding = Binding(key, policy.name, self, counts=policy.terms.ends == "session")
        place = tools.origin() if name is None else ""
        about = (lambda: f"what was put at {place}") if place else None
        with Change(self._finalizers) as change:
            change.replace(self._handles, binding)
            self._begin(policy, key, binding, about, change)
            promise = self.send(
                "None",
                {key: value},
                lifetime=policy,
                name=f"put {key}",
                copy=copy,
                transform=lambda _: binding._begun(policy.terms.seconds),
                one_hot=one_hot,
                # Nobody knows a random name yet: the commands behind need not wait for the value.
                _aside=name is None,
                _change=change,
            )
        source: Any = promise._source
        source.binding = key
        return promise

    def binding(self, name: str) -> Binding:
        """Name a value that is in the worker, as an argument for a mirror; nothing is sent.

        Raises:
            IdentifierError: Python, or the bridge, refuses the name.
        """
        return Binding(self._tools().check_identifier(name), "eternal", self)

    def module(self, name: str) -> RemoteModule:
        """Return a module of the worker's Python, to be used as if it were here; nothing is sent.

        ``np = bridge.module("numpy")``, then ``await np.arange(10).sum()``. It is imported there
        when something of it is used: one that is not installed rejects that with
        ``RemoteModuleNotFoundError``.

        Raises:
            IdentifierError: It is no module's name.
        """
        self._usable_loop()
        return RemoteModule(check_module(name), self)

    def tie(self, owner: object, name: str, about: Callable[[], str] | None = None) -> None:
        """Tie a name in the worker to an object here: it goes when the object is garbage.

        Args:
            owner: The object.
            name: The name.
            about: Says in errors what a person would call it; it must not keep the owner alive.
        """
        self._begin(Collected(), name, owner, about)

    def delete(self, *which: str | Binding) -> Promise[None]:
        """Delete bindings, or names that code has set, behind the commands sent by now.

        The promise is rejected with ``InUse`` if somebody else has a handle on one of them, with
        ``NameTaken`` if it is another session's, and with a ``NameError`` if there is none.

        Args:
            which: Names, or bindings.

        Raises:
            IdentifierError: Python, or the bridge, refuses a name.
            StaleReference: A binding was released, or deleted, before: its name may be another's.
            TypeError: It is neither.
        """
        if not which:
            raise TypeError("delete() takes the names, or the bindings, that are to be deleted")
        for each in which:
            if isinstance(each, Binding):
                each._check_released()
        names = [self._tools().check_identifier(name_of(each)) for each in which]
        with Change(self._finalizers) as change:
            for name, each in zip(names, which, strict=True):
                handle = each if isinstance(each, Binding) else self._handles.get(name)
                change.add(name, self._finalizers.forget(name), handle=handle)
                if handle is not None:
                    handle._released = DELETED
            promise = self.send(
                "from asyncbridge.worker import lodgers as worker_lodgers\n"
                "worker_lodgers.delete(names)",
                {"names": names},
                name=f"delete {', '.join(names)}",
                _change=change,
            )
        self._eternal.difference_update(names)
        return promise

    def scope(self) -> Scope:
        """Return a context manager, for ``with`` or ``async with``, that ends a group together.

        What is bound within it by ``put``, the references that come of what is sent there, and the
        mirrors that are made there, are let go of at its end, whoever still has them: behind the
        commands sent by then. It is for the task, or the thread, that has entered it.
        """
        self._usable_loop()
        return Scope(self)

    def bindings(self) -> Promise[list[BindingInfo]]:
        """Return a promise of what lives in the worker: bindings, kept objects, and code's own names.

        It answers while a command runs.
        """
        self._usable_loop()
        return self._promise_of(self._bindings, "asyncbridge-bindings")

    def memory(self) -> Promise[MemoryInfo]:
        """Return a promise of the memory that the worker takes, and what in it takes how much.

        It answers while a command runs.
        """
        self._usable_loop()
        return self._promise_of(self._memory, "asyncbridge-memory")

    def collect(self) -> Promise[int]:
        """Collect garbage in the worker, and give free memory back to the system.

        It comes behind the release of what is garbage here by now.

        What TensorFlow has leaked does not come back: ``connect(recycle=...)`` is for that.

        Returns:
            A promise of the bytes by which the worker has become smaller.
        """
        if self._session is not None and self._is_on_loop():
            self._release_collected(self._session)  # else that would come behind
        before_and_after = self.send(
            "from asyncbridge.worker import footprint as worker_footprint\nworker_footprint.trim()",
            name="collect",
        )
        return before_and_after.transform(lambda sizes: sizes[0] - sizes[1])

    # --- inner steps ---

    def _begin(
        self,
        policy: Policy,
        name: str,
        handle: object,
        about: Callable[[], str] | None = None,
        change: Change | None = None,
    ) -> None:
        """Let a policy have a new binding."""
        former = self._finalizers.forget(name)  # the name stands for a new value from here on
        hold = Hold(name, self._finalizers, handle, about)
        if change is not None:
            change.add(name, former, hold, handle)
        self._named([name])
        policy.begin(hold)
        if policy.terms.ends == "session" and (scope := current_scope(self)) is not None:
            scope.add_name(hold, handle)

    async def _bindings(self) -> list[BindingInfo]:
        told = await self._asked(lambda session: session.ask_about("bindings"))
        return [BindingInfo.parse(row) for row in told.get("bindings", ())]

    async def _memory(self) -> MemoryInfo:
        return MemoryInfo.parse(await self._asked(lambda session: session.ask_about("memory")))

    def _tell_soon(self, message: Tie) -> None:
        """Tell the worker something, from any thread."""
        session = self._opened()
        if self._is_on_loop():
            session.tell(message)
        elif self._loop is not None:
            self._loop.call_soon_threadsafe(session.tell, message)

    @abstractmethod
    def _is_on_loop(self) -> bool:
        """Tell whether the caller's thread is the one of the event loop."""

    def _took(self, item: Pending, handing: Handing) -> None:
        """Note what stands among a command's bindings for what is in the worker."""
        item.uses = tuple(handing.uses)
        item.references = tuple(handing.references)
        item.handed = tuple(handing.names)
        if item.references:
            item.residence = item.references[0]._residence
        if handing.after:
            item.after = (*item.after, *handing.after)

    def _labelled(self, labels: dict[str, str]) -> AbstractContextManager[None]:
        """Have errors call arguments so, by the names of their bindings."""
        return named_as(labels)

    # --- handles that travel ---

    def _pickled_ref(self, reference: Ref) -> tuple[Any, ...]:
        number = reference.about.number
        self._tell_soon(Tie(object=number, lease_ms=round(PICKLED_LEASE_S * 1000)))
        return adopt_ref, (self.incarnation, tuple(reference.about))

    def _pickled_binding(self, binding: Binding) -> tuple[Any, ...]:
        self._tell_soon(Tie(name=binding.name, lease_ms=round(PICKLED_LEASE_S * 1000)))
        binding._prolong(PICKLED_LEASE_S)
        about = (binding.name, binding.lifetime, binding._counts)
        return adopt_binding, (self.incarnation, *about)

    def _adopt_ref(self, told: Told) -> Ref:
        self._tell_soon(Tie(object=told.number))
        return self._references.claim(told)

    def _adopt_binding(self, name: str, lifetime: str, counts: bool) -> Binding:
        binding = Binding(name, lifetime, self, counts=counts)
        if counts:
            self._tell_soon(Tie(name=name))
            self._finalizers.share(binding, name)
        return binding


def name_of(which: object) -> str:
    """Return the name of a binding, or the name itself.

    Raises:
        TypeError: It is neither.
    """
    if isinstance(which, Binding):
        return which.name
    if isinstance(which, Ref):
        raise TypeError(f"{which!r} has no name to be deleted: release() lets go of it")
    if type(which) is not str:
        raise TypeError(f"delete() takes names and bindings, not {which!r:.80}")
    return which
