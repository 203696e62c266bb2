"""What a test of clients' handles does and knows: see ``test_holding``."""

from __future__ import annotations

import asyncio
import gc
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from asyncbridge.references import Ref
from tests.chaos.holding import Account, Client, Model, Name, Thing, Worker
from tests.limits import HANG_S

__all__ = ["Group", "Handle", "Parcel", "Rig"]


class Group:
    """The handles of one client on one value of a name: it goes with the last of them."""


@dataclass(slots=True, eq=False)
class Handle:
    """A variable with a handle, and what the model says of it."""

    real: Any
    client: Client
    what: Thing | str
    """The object; of a binding the name, for that is what a binding is."""
    group: Group | None = None
    is_stale: bool = False


@dataclass(slots=True, eq=False)
class Parcel:
    """A handle that was pickled."""

    data: bytes
    what: Thing | Name
    is_counted: bool


class Rig(RuleBasedStateMachine):
    """Two clients of a worker, the handles of each, and the model.

    Attributes:
        worker_type: What the worker is.
        time_is_ours: Whether leases end when we say so; else they do not end.
    """

    worker_type: ClassVar[type[Worker]] = Worker
    time_is_ours: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        gc.collect()
        gc.disable()  # cycles go when a rule says so
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory(prefix="ab-")
        self.worker = self.worker_type(Path(self.folder.name))
        self.model = Model()
        self.clients: list[Client] = []
        self.handles: list[Handle] = []
        self.limbo: list[Handle] = []
        self.groups: dict[tuple[Client, str], Group] = {}
        self.parcels: list[Parcel] = []
        self.value = 0

    def do(self, work: Callable[[], Any]) -> Any:
        """Do something on the loop, and wait for what comes of it."""

        async def within() -> Any:
            async with asyncio.timeout(HANG_S):
                made = work()
                return await made if isinstance(made, Awaitable) else made

        return self.loop.run_until_complete(within())

    @initialize()
    def begin(self) -> None:
        """Start the worker, with two clients."""
        self.do(self.worker.start)
        for _ in range(2):
            self.clients.append(self.do(self.worker.connect))
            self.model.clients.add(self.clients[-1].id)

    def teardown(self) -> None:
        """Leave: nothing but eternal bindings is left, whoever had what."""
        try:
            if self.clients:
                self.end()
        finally:
            gc.enable()
            self.loop.close()
            self.folder.cleanup()

    def end(self) -> None:
        """Look at what is left when all have gone."""
        self.handles.clear()
        self.limbo.clear()
        gc.collect()
        for client in self.clients:
            self.do(partial(self.worker.leave, client))
            self.model.leave(client.id)
        self.end_leases()
        account = self.do(self.worker.account)
        assert account == self.model.account()
        assert not (self.time_is_ours and account[1])
        self.do(self.worker.close)

    def end_leases(self) -> None:
        """Let all leases end."""
        if self.time_is_ours:
            self.do(self.worker.end_leases)
            self.model.end_leases()

    # --- what holds ---

    @invariant()
    def the_worker_holds_what_somebody_has(self) -> None:
        """After every step: names and objects, and whose they are."""
        if self.clients:
            told, expected = self.settled(), self.model.account()
            assert told == expected, f"{told} instead of {expected}"

    def settled(self) -> Account:
        """Return the worker's account, once it has heard of everything."""
        for client in self.clients:
            self.do(client.settle)
        account: Account = self.do(self.worker.account)
        return account

    def next_value(self) -> int:
        """Return a value that no name had."""
        self.value += 1
        return self.value

    def pick(self, place: int) -> Handle | None:
        """Return one of the handles, if there is any."""
        return self.handles[place % len(self.handles)] if self.handles else None

    # --- handles ---

    def refers(self, at: Client, real: Ref, thing: Thing) -> None:
        """Note a handle on an object, and look whether it is the one that there is."""
        known = [each for each in self.handles if each.what is thing]
        living = [each.real for each in known if each.client is at and not each.is_stale]
        assert all(each is real for each in living)
        thing.holders.add(at.id)
        self.handles.append(Handle(real, at, thing))

    def gone(self, one: Handle) -> None:
        """Note that a variable is gone."""
        others = [each for each in self.handles + self.limbo if each.client is one.client]
        if isinstance(one.what, Thing):
            if one.is_stale or any(each.what is one.what and not each.is_stale for each in others):
                return
            self.model.let_go(one.what, one.client.id)
            return
        key = one.client, one.what
        if one.group is None or self.groups.get(key) is not one.group:
            return
        if any(each.group is one.group for each in others):
            return
        del self.groups[key]
        if (record := self.model.names.get(one.what)) is not None:
            self.model.let_go(record, one.client.id)

    def make_stale(self, one: Handle) -> None:
        """Note that a handle is of no use any more, in whatever variable it is."""
        for each in self.handles + self.limbo:
            same = each.what is one.what if isinstance(one.what, Thing) else each.real is one.real
            each.is_stale |= same and each.client is one.client

    def is_good(self, one: Handle) -> bool:
        """Tell whether a handle is of use."""
        there = one.what in self.model.names or one.what in self.model.things
        return there and not one.is_stale

    def expected(self, one: Handle) -> int:
        """Return what a handle gives."""
        return one.what.key if isinstance(one.what, Thing) else self.model.names[one.what].value
