"""Who holds what: a model of it, and several clients of a worker in this process."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from contextlib import AsyncExitStack
from contextvars import Context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from asyncbridge.client import Bridge, connect
from asyncbridge.client.current import enter
from asyncbridge.references import Binding
from asyncbridge.testing.executors import LoopExecutor
from asyncbridge.worker.app import WorkerApp
from asyncbridge.worker.backend import Backend
from asyncbridge.worker.engine import Engine
from asyncbridge.worker.security import UNIX_HOST
from tests.chaos.proxy import Proxy
from tests.chaos.workers import StandingWorker
from tests.limits import HANG_S

__all__ = ["Account", "Client", "Model", "Name", "Standing", "Thing", "Worker", "unpickled"]

TOKEN = "correct-horse"
THINGS = """
class Thing:
    def __init__(self, key): self.key = key
    def __repr__(self): return f"Thing {self.key}"
things = [Thing(key) for key in range(4)]
"""
MARK = "mark_"
GONE_S = 0.001
"""The lease of a client that is to be gone."""

Account = tuple[dict[str, tuple[str, list[str]]], dict[str, list[str]]]
"""Bindings by name, each with its lifetime and holders; objects by text, each with its holders. A
lease is one of those."""
LEASE = ["a lease"]


@dataclass(slots=True, eq=False)
class Thing:
    """An object that the worker keeps, from its first holder to its last."""

    key: int
    holders: set[str] = field(default_factory=set)
    leases: int = 0

    def told(self) -> list[str]:
        """Return who has it."""
        return sorted(self.holders) + LEASE * (self.leases > 0)

    @property
    def is_kept(self) -> bool:
        """Whether anybody has it."""
        return bool(self.holders) or self.leases > 0


@dataclass(slots=True, eq=False)
class Name:
    """A binding, from its setting to its end."""

    name: str
    value: int
    lifetime: str
    owner: str
    holders: set[str] = field(default_factory=set)
    leases: int = 0

    def told(self) -> list[str]:
        """Return who has it."""
        return sorted(self.holders) + LEASE * (self.leases > 0)

    @property
    def is_kept(self) -> bool:
        """Whether it stays."""
        return self.lifetime == "eternal" or bool(self.holders) or self.leases > 0


class Model:
    """What the worker is to hold."""

    def __init__(self) -> None:
        self.names: dict[str, Name] = {}
        self.things: list[Thing] = []
        self.clients: set[str] = set()
        self.leased: list[Thing | Name] = []

    def thing(self, key: int) -> Thing:
        """Return the kept object of a key, or a new one."""
        for thing in self.things:
            if thing.key == key:
                return thing
        self.things.append(Thing(key))
        return self.things[-1]

    def is_taken(self, name: str, client: str) -> bool:
        """Tell whether a client may not set a name."""
        record = self.names.get(name)
        if record is None or record.owner == client:
            return False
        return record.owner in self.clients or bool(record.holders - {client})

    def put(self, name: str, value: int, lifetime: str, client: str) -> None:
        """Set a name."""
        record = self.names[name] = Name(name, value, lifetime, client)
        if lifetime == "collected":
            record.holders.add(client)
        elif lifetime.startswith("leased"):
            self.lease(record)

    def lease(self, what: Thing | Name) -> None:
        """Let a lease begin."""
        what.leases += 1
        self.leased.append(what)

    def end_leases(self) -> None:
        """Let all of them end."""
        ended, self.leased = self.leased, []
        for what in ended:
            what.leases -= 1
        self.tidy()

    def let_go(self, what: Thing | Name, client: str) -> None:
        """Take a client's hold."""
        what.holders.discard(client)
        self.tidy()

    def leave(self, client: str) -> None:
        """Take all that a client has."""
        self.clients.discard(client)
        held: list[Thing | Name] = [*self.things, *self.names.values()]
        for what in held:
            what.holders.discard(client)
        self.tidy()

    def tidy(self) -> None:
        """Forget what nobody has."""
        self.things = [thing for thing in self.things if thing.is_kept]
        self.names = {name: record for name, record in self.names.items() if record.is_kept}

    def account(self) -> Account:
        """Return what the worker has to say."""
        names = {record.name: (record.lifetime, record.told()) for record in self.names.values()}
        return names, {f"Thing {thing.key}": thing.told() for thing in self.things}


class Client:
    """One client, whose connection passes a proxy of its own."""

    def __init__(self, bridge: Bridge, proxy: Proxy) -> None:
        self.bridge = bridge
        self.proxy = proxy
        session = bridge._session
        assert session is not None
        self.id = session.protocol.session

    async def settle(self) -> None:
        """Wait until the worker has what was released here."""
        for _ in range(3):
            await asyncio.sleep(0)
        await self.bridge.send("None").wait(HANG_S)


def unpickled(bridge: Bridge, data: bytes) -> Any:
    """Unpickle a handle where a bridge is the current one, as in a process that has no other."""

    def load() -> Any:
        enter(bridge)
        return pickle.loads(data)

    return Context().run(load)


class Worker:
    """A worker in this process, whose leases end when a test says so.

    Args:
        folder: For its socket, and those of the proxies.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = AsyncExitStack()
        self._count = 0
        self._due: list[Callable[[], None]] = []
        self._clients: set[Client] = set()
        self._socket, self._token = folder / "w", TOKEN
        self._marks: dict[Client, Binding] = {}

    async def start(self) -> None:
        """Listen, and be watched by a client that has nothing."""
        loop = asyncio.get_running_loop()
        executor = LoopExecutor(paused=False)
        executor.loop = loop
        self.engine = Engine(loop=loop, executor=executor, backend=Backend(None))
        self.engine.lodging._later = lambda seconds, due: self._due.append(due)
        self.engine.start()
        self.app = WorkerApp(self.engine, token=TOKEN, hosts=frozenset({UNIX_HOST}))
        runner = web.AppRunner(self.app.app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.UnixSite(runner, str(self._socket)).start()
        self._stack.push_async_callback(runner.cleanup)
        self._stack.push_async_callback(self.app.close)
        await self._watch()

    async def _watch(self) -> None:
        self._watcher = await self.connect()
        await self._watcher.bridge.send(THINGS)

    async def close(self) -> None:
        """End it all."""
        for client in sorted(self._clients, key=lambda each: each is self._watcher):
            await self.leave(client)
        await self._stack.aclose()

    async def connect(self) -> Client:
        """Return a new client."""
        self._count += 1
        front = self._folder / f"c{self._count}"
        proxy = Proxy(front, self._socket)
        await proxy.start()
        bridge = await connect(f"unix://{front}", token=self._token, shared_memory=0)
        client = Client(bridge, proxy)
        self._clients.add(client)
        return client

    async def leave(self, client: Client) -> None:
        """End a client as a program does that has come to its end."""
        await client.bridge.close()
        await client.proxy.close()
        await self._left(client)

    async def vanish(self, client: Client) -> None:
        """End a client as a machine does that loses its power, and let its lease be over."""
        self.app._channels[client.id]._lease = GONE_S
        await client.proxy.close()
        await self._left(client)
        await client.bridge.close(timeout=0)

    async def end_leases(self) -> None:
        """Let the time pass that leases are for."""
        due, self._due = self._due, []
        for end in due:
            end()

    async def account(self) -> Account:
        """Return what there is, as anybody is told."""
        await self._watcher.settle()
        rows = await self._watcher.bridge.bindings().wait(HANG_S)
        names = {
            row.name: (row.lifetime, sorted(row.holders))
            for row in rows
            if row.name and row.lifetime != "code" and not row.name.startswith(MARK)
        }
        return names, {row.text: sorted(row.holders) for row in rows if not row.name}

    async def _left(self, client: Client) -> None:
        self._clients.discard(client)
        async with asyncio.timeout(HANG_S):
            while any(each.owner == client.id for each in self.engine.lodging.claimants):
                await asyncio.sleep(0)


class Standing(Worker):
    """A worker in a process of its own; nobody tells it when a lease is over."""

    async def start(self) -> None:
        """Start it, and be watched by a client that has nothing."""
        process = StandingWorker(self._folder / "f")
        self._stack.callback(process.stop)
        self._socket, self._token = self._folder / "f" / "worker.sock", process.token
        await self._watch()

    async def connect(self) -> Client:
        """Return a new client, which has a mark that goes with it."""
        client = await super().connect()
        self._marks[client] = await client.bridge.put(None, name=f"{MARK}{self._count}")
        return client

    async def _left(self, client: Client) -> None:
        self._clients.discard(client)
        mark = self._marks.pop(client).name
        if client is self._watcher:
            return
        async with asyncio.timeout(HANG_S):
            while any(row.name == mark for row in await self._watcher.bridge.bindings()):
                await asyncio.sleep(0)
