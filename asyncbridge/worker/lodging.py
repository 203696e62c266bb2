"""What lives in the worker beyond its command: kept objects, bindings, and values for later commands.

``Lodging`` is what the engine knows of all this; ``objects`` and ``bindings`` have the accounts.
"""

from __future__ import annotations

import contextlib
import importlib
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.errors import DecodeError, SerializationError, StaleReference, WorkerError
from asyncbridge.protocol.keeping import ALONE, STAY
from asyncbridge.serialization.codec import decode, draft, encode
from asyncbridge.serialization.handles import there_of
from asyncbridge.worker.bindings import Bindings, seconds_of
from asyncbridge.worker.files import open_array
from asyncbridge.worker.holders import holders_of, is_kept
from asyncbridge.worker.keeper import Keeper, TooMany
from asyncbridge.worker.objects import Claimant, Objects

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from asyncbridge.protocol.messages import Payload, Tie
    from asyncbridge.serialization.drafts import Draft
    from asyncbridge.serialization.handles import Kind
    from asyncbridge.worker.lines import Dropping, Line
    from asyncbridge.worker.namespace import Namespace
    from asyncbridge.worker.queue import Job

__all__ = ["Lodging"]

NOTHING: Final = encode(None)


class Lodging:
    """One worker's.

    Args:
        namespace: The scope that commands share.
        clock: Seconds.
        submit: Has something done in the GPU thread, behind what is queued there.
        post: Has something done on the loop.
        later: Calls back on the loop after some seconds.
        guard: Does something for each of some items in the GPU thread, whatever destructors do.
    """

    def __init__(
        self,
        namespace: Namespace,
        *,
        clock: Callable[[], float],
        submit: Callable[[Callable[[], None]], None],
        post: Callable[[Callable[[], None]], None],
        later: Callable[[float, Callable[[], None]], object],
        guard: Callable[[Callable[[Any], None], tuple[Any, ...]], None],
    ) -> None:
        self.namespace = namespace
        self.clock = clock
        self._executor_submit = submit
        self._post = post
        self._later = later
        self._guard = guard
        self.claimants: dict[Claimant, None] = {}
        self.objects = Objects()
        self._keeper = Keeper(self.objects)
        # The GPU thread's: whose bindings are being read.
        self._reading: Any = None
        # Of a command that is debugged: what its bindings stand for, and lives here anyway.
        self._handed: set[int] = set()
        self.bindings = Bindings(self._drop_name, self.is_alive, namespace.ident_of)
        # Names that go with the command that runs.
        self.passing: Collection[str] = ()

    # --- clients; on the loop ---

    def enter(self, owner: str) -> Claimant:
        """Return whoever has handles for an owner from now on."""
        claimant = Claimant(owner)
        self.claimants[claimant] = None
        return claimant

    def leave(self, claimant: Claimant) -> None:
        """Let go of all that a client had; behind what it has in the queue."""

        def drop() -> None:
            claimant.has_left = True
            self._guard(partial(self._let_go, claimant), tuple(claimant.counts.items()))
            self._guard(lambda name: self.bindings.release(name, claimant), tuple(claimant.names))
            self.claimants.pop(claimant, None)

        self._submit(drop)

    def leave_behind(self, claimant: Claimant, line: Line, newest: int) -> None:
        """Let go of all that a client had whose commands stay, which have run by now.

        Args:
            claimant: The client.
            line: Its session's, with the values that commands of its were to use.
            newest: The last of those commands.
        """
        for command_id in [number for number in line.values if number <= newest]:
            self._guard(line.forget, (command_id,))
        # By way of the loop: what it was told meanwhile is moved to its successor first.
        self._post(partial(self.leave, claimant))

    def move(self, before: Claimant, after: Claimant, numbers: tuple[int, ...]) -> None:
        """Make handles, that nobody has been told of yet, the next client's."""

        def move() -> None:
            for number in numbers:
                self.objects.move(before, after, number)

        if numbers:
            self._submit(move)

    def give_back(self, claimant: Claimant, numbers: tuple[int, ...]) -> None:
        """Take handles back that were told to nobody."""
        if numbers:
            handles = tuple((number, 1) for number in numbers)
            self._submit(lambda: self._guard(partial(self._let_go, claimant), handles))

    def is_alive(self, owner: str) -> bool:
        """Tell whether an owner is there, or waited for."""
        return any(claimant.owner == owner for claimant in list(self.claimants))

    def tie(self, claimant: Claimant, message: Tie) -> None:
        """Take a claim that no outcome has told."""
        seconds = message.lease_ms / 1000
        if message.name:
            self._submit(partial(self._tie_name, claimant, message.name, seconds))
        else:
            self._submit(partial(self._tie_object, claimant, message.object, seconds))

    def keep(self, job: Job, line: Line) -> bool:
        """Keep a command's value for others; tell whether it is in time."""
        if not job.keep:
            job.keep = 1
        if not job.packed:
            return True
        self._submit(partial(line.forget, job.command.id))
        return False

    def replace(self, job: Job, value: Payload) -> None:
        """Keep the value that is decided for a command, where others use it."""
        if job.keep:

            def hold() -> None:
                decided = decode(value, path="decided", side="in the worker", files=open_array)
                job.line.values[job.command.id] = decided

            self._submit(hold)

    # --- one command; in the GPU thread ---

    def read(self, job: Job, value: Payload) -> dict[str, Any]:
        """Read bindings in wire form; what is wrong with them is told by its place.

        Raises:
            DecodeError: They cannot be read.
            StaleReference: One stands for what is here no longer.
        """
        self._reading = job
        bindings = decode(
            value,
            path="bindings",
            side="in the worker",
            files=open_array,
            handles=self._stands_for,
        )
        if not isinstance(bindings, dict):
            raise TypeError(f"bindings are a dict of names, not {type(bindings).__name__}")
        return bindings

    def check(self, job: Job, bindings: dict[str, Any]) -> None:
        """Refuse names that are another's.

        Raises:
            NameTaken: One is.
            ValueError: The lifetime is none.
        """
        seconds_of(job.lifetime)
        for name in bindings:
            if name not in vars(self.namespace.module):  # deleted by code, it is nobody's
                self.bindings.forget(name)
        self.bindings.check(bindings, job.peer.claimant.owner)

    def settle(self, job: Job, bindings: dict[str, Any], result: object) -> Payload | Draft:
        """Note what a command has set that outlives it, and return its value in wire form."""
        if job.command.sets:
            self.bindings.note(job.command.sets, "collected", job.peer.claimant, self.clock())
        if job.lifetime != "command":
            self._note(job, bindings)
        elif job.peer.debug:
            written = self._write(job, result)
            del result
            job.holders = kept_alive(
                self._own(bindings), vars(self.namespace.module), ignore=(bindings,)
            )
            return written
        return self._write(job, result)

    def fail(self, job: Job, bindings: dict[str, Any]) -> None:
        """Note what a command has set that outlives it, though its code has failed."""
        if job.lifetime != "command":
            scope = vars(self.namespace.module)
            here = {key: value for key, value in bindings.items() if scope.get(key) is value}
            self._note(job, here)
        elif job.peer.debug:
            job.bound = self._own(bindings)

    def left(self, job: Job) -> tuple[str, ...]:
        """Say who keeps what was bound for a command that has failed, now that its error is gone."""
        bound, job.bound = job.bound, {}
        return kept_alive(bound, vars(self.namespace.module))

    def _own(self, bindings: dict[str, Any]) -> dict[str, Any]:
        """Return the bindings whose values were made for their command, and told to nobody."""
        handed, self._handed = self._handed, set()
        return {
            name: value
            for name, value in bindings.items()
            if id(value) not in handed and self.objects.known(value) is None
        }

    def _note(self, job: Job, bindings: dict[str, Any]) -> None:
        self.bindings.note(bindings, job.lifetime, job.peer.claimant, self.clock())
        if (seconds := seconds_of(job.lifetime)) is not None:
            for record in filter(None, map(self.bindings.get, bindings)):
                self._end_later(seconds, partial(self.bindings.end_lease, record))

    def _write(self, job: Job, result: object) -> Payload | Draft:
        """Return a command's value in wire form; what has none is kept, and told by a reference.

        Raises:
            SerializationError: It has no wire form, and the client takes no references.
        """
        job.packed = True
        if job.keep:  # read after that: see ``keep``
            job.line.values[job.command.id] = result
        if job.keep == ALONE:
            job.line.alone.add(job.command.id)
            return NOTHING
        largest = job.peer.largest
        if not job.peer.references:
            return draft(result, path="result", decided=True, files=False, largest=largest)
        keeper = self._keeper
        keeper.now = job.started_at
        if job.keep == STAY:
            return keeper.whole(result)
        try:
            return draft(
                result, path="result", decided=True, files=False, largest=largest, handles=keeper
            )
        except (SerializationError, TooMany):
            return keeper.whole(result)

    def claim(self, job: Job, claimant: Claimant) -> tuple[int, ...]:
        """Count the handles that a command's value tells a client; return their objects."""
        job.written = True
        numbers = tuple(self._keeper.numbers)
        for number in numbers:
            self.objects.claim(claimant, number)
        self._keeper.tidy()
        return numbers

    def disown(self, job: Job) -> None:
        """Let go of what was kept for a value that will not be told."""
        if not job.written:
            self._keeper.tidy()
            job.line.forget(job.command.id)

    def take_over(self, name: str, lifetime: str, claimant: Claimant, since: float) -> None:
        """Take a binding over from the worker before this one."""
        self.bindings.note([name], lifetime, claimant, since)
        seconds = seconds_of(lifetime)
        record = self.bindings.get(name)
        if seconds is not None and record is not None:
            left = max(0.0, since + seconds - self.clock())
            self._end_later(left, partial(self.bindings.end_lease, record))

    def drop(self, claimant: Claimant, line: Line, due: Dropping) -> None:
        """Let go of what nothing in a client refers to any more."""
        release = due.release
        for command_id in release.commands:
            self._guard(line.forget, (command_id,))
        if release.objects:
            self._guard(partial(self._let_go, claimant), release.objects)
        if due.names:
            self._guard(lambda name: self.bindings.release(name, claimant), due.names)

    # --- inner steps ---

    def _submit(self, work: Callable[[], None]) -> None:
        with contextlib.suppress(WorkerError):  # the worker ends, and all that it keeps with it
            self._executor_submit(work)

    def _stands_for(self, tree: dict[str, object]) -> object:
        value = self._found(self._reading, *there_of(tree))
        if self._reading.peer.debug:
            self._handed.add(id(value))
        return value

    def _found(self, job: Job, kind: Kind, what: int | str) -> object:
        if isinstance(what, str):
            return (
                importlib.import_module(what) if kind == "module" else self.namespace.value_of(what)
            )
        if kind == "object":
            return self.objects.value_of(what)
        uses = job.command.uses
        if what >= len(uses):
            raise DecodeError(f"a binding uses value {what} of {len(uses)}")
        if uses[what] not in job.line.values:
            raise StaleReference(
                f"the value of command {uses[what]} is in the worker no longer: await its promise, "
                "or send it with keep=True"
            )
        return job.line.values[uses[what]]

    def _tie_object(self, claimant: Claimant, number: int, seconds: float) -> None:
        if not seconds:
            if number in self.objects:
                self.objects.claim(claimant, number)
        elif self.objects.lease(number):
            self._end_later(seconds, partial(self.objects.end_lease, number))

    def _tie_name(self, claimant: Claimant, name: str, seconds: float) -> None:
        if not seconds:
            self.bindings.hold(name, claimant)
        elif (record := self.bindings.lease(name)) is not None:
            self._end_later(seconds, partial(self.bindings.end_lease, record))

    def _end_later(self, seconds: float, end: Callable[[], None]) -> None:
        """Do something in the GPU thread after some seconds."""

        def due() -> None:
            self._submit(lambda: self._guard(lambda call: call(), (end,)))

        def wait() -> None:
            self._later(seconds, due)

        self._post(wait)

    def _let_go(self, claimant: Claimant, handle: tuple[int, int]) -> None:
        self.objects.give_back(claimant, *handle)

    def _drop_name(self, name: str) -> None:
        self.namespace.release((name,))


def kept_alive(
    bindings: dict[str, Any], scope: dict[str, object], ignore: tuple[object, ...] = ()
) -> tuple[str, ...]:
    """Say who keeps the values of a command's bindings alive, now that it is over.

    Args:
        bindings: Values by name; what lives here anyway is not among them.
        scope: The namespace.
        ignore: Who else refers to each of them, and is not told.
    """
    told: list[str] = []
    for name in list(bindings):
        value = bindings[name]
        if not is_kept(value, 2 + len(ignore)):  # that dict's, and this variable's
            continue
        holders = holders_of(value, scope, ignore=(bindings, *ignore))
        if holders:
            kind = type(value).__name__
            told.append(f"its binding {name!r} ({kind}) lives on: kept by {'; '.join(holders)}")
    return tuple(told)
