"""What commands do, by their code, with what lives in the worker.

They call this by its name; see ``asyncbridge.client.keeping``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from asyncbridge.errors import WorkerError
from asyncbridge.worker import moving
from asyncbridge.worker.footprint import trim
from asyncbridge.worker.guards import type_name

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Mapping

    from asyncbridge.worker.lodging import Lodging
    from asyncbridge.worker.objects import Claimant
    from asyncbridge.worker.queue import CommandQueue
    from asyncbridge.worker.recycling import Watch

__all__ = ["Present", "begin", "delete", "pack", "present", "resume", "unpack"]

NOT_MOVED = (
    "{kind}: it is neither a model nor what a name stands for, and only those move; "
    "bridge.put(reference, name=...) gives it one, which helps what has a wire form"
)


class Present:
    """The worker's lodging and queue, and the client whose command runs, while that lasts."""

    __slots__ = ("_before", "claimant", "lodging", "queue", "watch")

    claimant: Claimant

    def __init__(self, lodging: Lodging, queue: CommandQueue, watch: Watch) -> None:
        self.lodging = lodging
        self.queue = queue
        self.watch = watch

    def of(self, claimant: Claimant) -> Present:
        """Return this, for the command of a client."""
        self.claimant = claimant
        return self

    def __enter__(self) -> None:
        global _present
        self._before, _present = _present, self

    def __exit__(self, *_: object) -> None:
        global _present  # noqa: PLW0603 - there is one GPU thread, and one command in it
        _present = self._before


_present: Present | None = None


def present() -> Present:
    """Return what the running command has at hand.

    Raises:
        WorkerError: None runs.
    """
    if _present is None:
        raise WorkerError("this is for the code of a command, in its worker")
    return _present


def delete(names: Iterable[str]) -> None:
    """Delete names.

    Raises:
        InUse: Another client has a handle on one.
        NameError: There is none of that name.
        NameTaken: It is another client's.
    """
    here = present()
    for name in names:  # all of them, or none
        here.lodging.namespace.value_of(name)
        here.lodging.bindings.check_deletion(name, here.claimant)
    for name in names:
        here.lodging.bindings.delete(name, here.claimant)


def pack(
    numbers: Collection[int], wanted: Iterable[str], needed: Container[int] = ()
) -> dict[str, Any]:
    """Return all that moves to another worker, and have no other command taken up here.

    Args:
        numbers: The kept objects that the client knew of when it asked. What it was told of
            meanwhile moves if it can, for commands behind may use it.
        wanted: The collected bindings that it has not let go of, or that its commands use.
        needed: The objects among those that its commands use: they move, if they can.
    """
    here = present()
    here.queue.pause()
    lodging = here.lodging
    collected = {each.name for each in lodging.bindings.all() if each.lifetime == "collected"}
    spent = collected.difference(wanted)
    values = {name: lodging.namespace.value_of(name) for name in lodging.namespace.names()}
    things: dict[str, object] = {
        f"name {name}": value
        for name, value in values.items()
        # The command that calls this has names of its own, which do not outlive it.
        if name not in spent and name not in lodging.passing
    }
    named = {id(value) for value in things.values()}
    lost: dict[str, str] = {}
    held = [each for each in sorted({*numbers, *here.claimant.counts}) if each in lodging.objects]
    for number in held:
        value = lodging.objects.value_of(number)
        is_new = number not in numbers
        if is_new or number in needed or id(value) in named or is_keras_object(value):
            things[f"object {number}"] = value
        else:
            lost[f"object {number}"] = NOT_MOVED.format(kind=type_name(type(value)))
    records = [
        # The worker's clock is the machine's: it goes on while there is no worker.
        (record.name, record.lifetime, record.since)
        for record in lodging.bindings.all()
    ]
    return {
        "things": moving.pack(things),
        "lost": lost,
        "objects": held,
        "records": records,
        "newest": lodging.objects.newest,
    }


def unpack(state: Mapping[str, Any]) -> dict[str, str]:
    """Make here what another worker has packed; return the reasons for what was lost, by key."""
    here = present()
    lodging, claimant = here.lodging, here.claimant
    now = lodging.clock()
    lodging.objects.begin_after(state["newest"])
    made, lost = moving.unpack(state["things"])
    for key, value in made.items():
        kind, _, rest = key.partition(" ")
        if kind == "name":
            lodging.namespace.bind(rest, value)
        else:
            lodging.objects.put(int(rest), value, now)
            lodging.objects.claim(claimant, int(rest))
    for name, lifetime, since in state["records"]:
        if f"name {name}" in made:
            lodging.take_over(name, lifetime, claimant, since)
    return {**state["lost"], **lost}


def begin() -> str:
    """Look at what this worker begins with; return what is to be said of it, if anything is."""
    _, resident = trim()
    return present().watch.begin_with(resident)


def resume() -> None:
    """Take up commands again: this worker is not replaced after all."""
    present().queue.resume()


def is_keras_object(value: object) -> bool:
    """Tell what is made of Keras: a model, a layer, an optimizer and the like."""
    keras = sys.modules.get("keras")
    if keras is None:
        return False
    kinds = (keras.Layer, keras.Optimizer, keras.Variable, keras.Metric, keras.Loss)
    return isinstance(value, kinds)
