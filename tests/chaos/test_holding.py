"""Whatever clients do with what lives in a worker: it holds what somebody has, and nothing else."""

from __future__ import annotations

import copy
import gc
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    rule,
    run_state_machine_as_test,
)

from asyncbridge.errors import (
    AsyncBridgeError,
    InUse,
    NameTaken,
    RemoteError,
    SerializationError,
    StaleReference,
)
from asyncbridge.lifetime import Leased
from asyncbridge.promise import Promise
from asyncbridge.references import Binding, Ref
from tests.chaos.handles import Group, Handle, Parcel, Rig
from tests.chaos.holding import Client, Standing, Thing, unpickled

EXAMPLES, STEPS = 25, 40
THERE_EXAMPLES, THERE_STEPS = 2, 25
CLIENTS = st.integers(0, 1)
KEYS = st.integers(0, 3)
NAMES = st.sampled_from(["one", "two"])
PLACES = st.integers(0, STEPS)
LIFETIMES = st.sampled_from(["collected", "collected", "eternal", "leased"])


class Holding(Rig):
    """Two clients, and what each of them has, told to a worker over real connections."""

    # --- handles come ---

    @rule(client=CLIENTS, key=KEYS)
    def refer(self, client: int, key: int) -> None:
        """Have a reference: the one that lives, or a new one."""
        at = self.clients[client]
        real = self.do(lambda: at.bridge.send(f"things[{key}]"))
        self.refers(at, real, self.model.thing(key))

    @rule(client=CLIENTS, name=NAMES, lifetime=LIFETIMES)
    def put(self, client: int, name: str, lifetime: str) -> None:
        """Set a name, unless it is another's."""
        at, value = self.clients[client], self.next_value()
        policy: Any = Leased(60) if lifetime == "leased" else lifetime
        real = self.do(lambda: outcome(lambda: at.bridge.put(value, name=name, lifetime=policy)))
        if self.model.is_taken(name, at.id):
            assert isinstance(real, NameTaken)
            return
        assert isinstance(real, Binding)
        self.model.put(name, value, "leased 60.0" if lifetime == "leased" else lifetime, at.id)
        self.groups.pop((at, name), None)
        group = Group() if lifetime == "collected" else None
        if group is not None:
            self.groups[at, name] = group
        self.handles.append(Handle(real, at, name, group))

    @rule(client=CLIENTS, name=NAMES, cancel=st.booleans())
    def put_in_vain(self, client: int, name: str, cancel: bool) -> None:
        """Fail to set a name: what it stood for stays, and so does who has it."""
        bridge = self.clients[client].bridge

        def fail() -> None:
            if cancel:
                assert bridge.put(0, name=name).cancel()
            else:
                with pytest.raises(SerializationError):
                    bridge.put(object(), name=name)

        self.do(fail)

    @rule(place=PLACES)
    def copy(self, place: int) -> None:
        """Have a second variable."""
        if (one := self.pick(place)) is not None:
            real = copy.copy(one.real)
            assert real is one.real
            self.handles.append(Handle(real, one.client, one.what, one.group, one.is_stale))

    @rule(place=PLACES)
    def pack(self, place: int) -> None:
        """Pickle a handle: a lease keeps what it is on."""
        one = self.pick(place)
        if one is None or one.is_stale:
            return
        what = self.model.names.get(one.what) if isinstance(one.what, str) else one.what
        if what is None or what not in (*self.model.things, *self.model.names.values()):
            return
        # The worker is told on the loop.
        data = self.do(lambda: self.pickled(one))
        self.model.lease(what)
        lifetime = one.real.lifetime if isinstance(one.real, Binding) else "collected"
        self.parcels.append(Parcel(data, what, lifetime == "collected"))

    async def pickled(self, one: Handle) -> bytes:
        """Pickle a handle, on the loop."""
        data = pickle.dumps(one.real)
        await one.client.settle()
        return data

    @rule(place=PLACES, client=CLIENTS)
    def unpack(self, place: int, client: int) -> None:
        """Unpickle one, at either client."""
        if not self.parcels:
            return
        parcel, at = self.parcels[place % len(self.parcels)], self.clients[client]
        real = self.do(lambda: self.unpickled(parcel, at))
        what = parcel.what
        if isinstance(what, Thing):
            if what in self.model.things:
                self.refers(at, real, what)
            else:
                self.handles.append(Handle(real, at, what))
            return
        group = None
        if parcel.is_counted:
            group = self.groups.setdefault((at, what.name), Group())
            record = self.model.names.get(what.name)
            if record is not None and record.lifetime != "eternal":
                record.holders.add(at.id)
        self.handles.append(Handle(real, at, what.name, group))

    async def unpickled(self, parcel: Parcel, at: Client) -> Any:
        """Unpickle a handle, on the loop."""
        real = unpickled(at.bridge, parcel.data)
        await at.settle()
        return real

    # --- handles go ---

    @rule(place=PLACES)
    def drop(self, place: int) -> None:
        """Let a variable go."""
        if (one := self.pick(place)) is not None:
            self.handles.remove(one)
            self.gone(one)

    @rule(place=PLACES)
    def drop_into_a_cycle(self, place: int) -> None:
        """Let a variable go that only the collector of cycles finds."""
        if (one := self.pick(place)) is not None:
            self.handles.remove(one)
            cycle: list[object] = [one.real]
            cycle.append(cycle)
            one.real = None
            self.limbo.append(one)

    @rule()
    def collect(self) -> None:
        """Collect the cycles."""
        gc.collect()
        while self.limbo:
            self.gone(self.limbo.pop())

    @rule(place=PLACES)
    def release(self, place: int) -> None:
        """Release a reference, whoever has it here."""
        one = self.pick(place)
        if one is None or not isinstance(one.real, Ref):
            return
        self.do(one.real.release)
        if not one.is_stale:
            assert isinstance(one.what, Thing)
            self.make_stale(one)
            self.model.let_go(one.what, one.client.id)

    @rule(client=CLIENTS, name=NAMES, place=PLACES, by_handle=st.booleans())
    def delete(self, client: int, name: str, place: int, by_handle: bool) -> None:
        """Delete a binding, unless it is another's, or in use."""
        at, what = self.clients[client], name
        mine = [each for each in self.handles if each.client is at and each.what == name]
        one = mine[place % len(mine)] if mine and by_handle else None
        which: Any = what if one is None else one.real
        ended = self.do(lambda: outcome(lambda: at.bridge.delete(which)))
        record = self.model.names.get(name)
        if one is not None and one.is_stale:
            assert isinstance(ended, StaleReference)
        elif record is None:
            assert isinstance(ended, NameError)
        elif record.owner != at.id and record.owner in self.model.clients:
            assert isinstance(ended, NameTaken)
        elif record.holders - {at.id} or (record.leases and record.lifetime[:6] != "leased"):
            assert isinstance(ended, InUse)
        else:
            assert ended is None
            del self.model.names[name]
            self.groups.pop((at, name), None)
            if one is not None:
                self.make_stale(one)

    # --- groups, and commands that wait ---

    @rule(client=CLIENTS, keys=st.lists(KEYS, max_size=3), name=NAMES)
    def scope(self, client: int, keys: list[int], name: str) -> None:
        """Have a group end: what was made in it is released, what was there before is not."""
        at = self.clients[client]
        before = [each for each in self.handles + self.limbo if each.client is at]
        with self.do(at.bridge.scope):
            for key in keys:
                self.refer(client, key)
            self.put(client, name, "collected")
        for one in [each for each in self.handles if each.client is at and each not in before]:
            if isinstance(one.what, str):
                self.make_stale(one)
                del self.groups[at, name]
                self.model.let_go(self.model.names[name], at.id)
            elif not any(each.what is one.what and not each.is_stale for each in before):
                self.make_stale(one)
                self.model.let_go(one.what, at.id)

    @rule(place=PLACES)
    def use_later(self, place: int) -> None:
        """Use a handle in a command that waits for another argument, and let the handle go."""
        one = self.pick(place)
        if one is None or not self.is_good(one):
            return
        expected = self.expected(one)
        waiting, resolve = self.do(lambda: self.waits(one))
        before = self.model.account()
        self.handles.remove(one)
        real, one.real = one.real, None
        del real
        assert self.settled() == before
        self.do(lambda: resolve(7))
        assert self.do(lambda: waiting) == (expected, 7)
        self.gone(one)

    def waits(self, one: Handle) -> tuple[Promise[Any], Any]:
        """Send a command that uses a handle, and what has not come."""
        other: Any = Promise.with_resolvers()
        bindings = {"x": one.real, "y": other.promise}
        return one.client.bridge.send("(getattr(x, 'key', x), y)", bindings), other.resolve

    # --- uses ---

    @rule(place=PLACES)
    def use(self, place: int) -> None:
        """Use a handle: it works if somebody holds what it is on, and is an error else."""
        one = self.pick(place)
        if one is None:
            return
        ended = self.do(lambda: self.used(one))
        if self.is_good(one):
            assert ended == self.expected(one)
        elif one.is_stale or isinstance(one.what, Thing):
            assert isinstance(ended, StaleReference)
        else:
            assert isinstance(ended, RemoteError)
            assert isinstance(ended, NameError)

    async def used(self, one: Handle) -> object:
        """Use a handle; return what comes of it."""
        try:
            return await one.client.bridge.send("getattr(x, 'key', x)", {"x": one.real})
        except (StaleReference, RemoteError) as error:
            return error

    # --- connections, clients, time ---

    @rule(client=CLIENTS)
    def cut(self, client: int) -> None:
        """Cut a client's connection: it comes back, and nothing has changed."""
        self.clients[client].proxy.cut()

    @rule(client=CLIENTS, vanishes=st.booleans())
    def another_client(self, client: int, vanishes: bool) -> None:
        """Have a client end, or be gone for good, with all that it has; another one comes."""
        at = self.clients[client]
        vanishes = vanishes and self.time_is_ours
        self.do(partial(self.worker.vanish if vanishes else self.worker.leave, at))
        self.model.leave(at.id)
        self.handles = [each for each in self.handles if each.client is not at]
        self.limbo = [each for each in self.limbo if each.client is not at]
        self.groups = {key: group for key, group in self.groups.items() if key[0] is not at}
        self.clients[client] = self.do(self.worker.connect)
        self.model.clients.add(self.clients[client].id)

    @rule()
    def time_passes(self) -> None:
        """Let all leases end."""
        self.end_leases()


async def outcome(work: Callable[[], Promise[Any]]) -> object:
    """Return what comes of a call that promises something, also an error."""
    try:
        return await work()
    except AsyncBridgeError as error:
        return error


class HoldingThere(Holding):
    """The same, with a worker's process, whose time is its own."""

    worker_type = Standing
    time_is_ours = False


def run(machine: type[Holding], examples: int, steps: int) -> None:
    """Run programs; what a shrunk one would tell, the model says better."""
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=max(examples, settings().max_examples * examples // 250),  # nightly more
            stateful_step_count=steps,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            phases=[Phase.explicit, Phase.generate],
        ),
    )


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.slow
def test_it_holds_what_somebody_has() -> None:
    """In any order of what clients do, and of what befalls them."""
    run(Holding, EXAMPLES, STEPS)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.slow
def test_in_a_process_of_its_own() -> None:
    """Likewise."""
    run(HoldingThere, THERE_EXAMPLES, THERE_STEPS)
