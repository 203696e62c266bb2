"""The collector only enqueues; the loop takes."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading

import pytest

from asyncbridge.lifetime.finalizers import Finalizers
from asyncbridge.lifetime.holds import Hold
from asyncbridge.references.binding import Binding
from tests.limits import HANG_S


class Wakes:
    """Counts how often the loop was asked to have a look."""

    def __init__(self) -> None:
        self.count = 0
        self.threads: list[threading.Thread] = []

    def __call__(self) -> None:
        self.count += 1
        self.threads.append(threading.current_thread())


def tie_all(finalizers: Finalizers, owners: list[Binding]) -> None:
    """Tie each owner to its own name; nothing here refers to one afterwards."""
    for owner in owners:
        finalizers.tie(owner, owner.name)


@pytest.fixture
def wakes() -> Wakes:
    """A counter."""
    return Wakes()


def test_enqueued_when_garbage(wakes: Wakes) -> None:
    """A name is enqueued when its owner is garbage, and not before."""
    finalizers = Finalizers(wakes)
    owner = Binding("x", "collected")
    finalizers.tie(owner, "x")
    gc.collect()
    assert (finalizers.take(), wakes.count) == ((), 0)
    del owner
    gc.collect()
    assert wakes.count == 1
    assert finalizers.take() == ("x",)
    assert finalizers.take() == ()


def test_an_owner_in_a_cycle(wakes: Wakes) -> None:
    """An owner that refers to itself goes when the collector comes."""

    class Owner:
        me: Owner

    finalizers = Finalizers(wakes)
    gc.disable()
    try:
        owner = Owner()
        owner.me = owner
        finalizers.tie(owner, "x")
        del owner
        assert finalizers.take() == ()
        gc.collect()
        assert finalizers.take() == ("x",)
    finally:
        gc.enable()


def test_one_wake_up_for_many(wakes: Wakes) -> None:
    """Names that die before the loop looks are one batch, in the order of their deaths."""
    finalizers = Finalizers(wakes)
    owners = [Binding(f"x{n}", "collected") for n in range(100)]
    tie_all(finalizers, owners)
    while owners:
        owners.pop()
    assert wakes.count == 1
    assert finalizers.take() == tuple(f"x{n}" for n in reversed(range(100)))


def test_woken_again_after_a_look(wakes: Wakes) -> None:
    """Each look is followed by a new wake-up, when there is something new."""
    finalizers = Finalizers(wakes)
    for number in range(1, 4):
        owner = Binding("x", "collected")
        finalizers.tie(owner, "x")
        del owner
        assert wakes.count == number
        assert finalizers.take() == ("x",)


def test_several_owners_and_names(wakes: Wakes) -> None:
    """An owner may stand for several names."""
    finalizers = Finalizers(wakes)
    owner = Binding("x", "collected")
    finalizers.tie(owner, "x")
    finalizers.tie(owner, "y")
    del owner
    assert sorted(finalizers.take()) == ["x", "y"]


def test_a_finalizer_only_enqueues() -> None:
    """What dies inside a look, or inside the wake-up itself, is enqueued like anything else."""
    owners = [Binding("inner", "collected")]
    finalizers = Finalizers(owners.clear)
    finalizers.tie(owners[0], "inner")
    outer = Binding("outer", "collected")
    finalizers.tie(outer, "outer")
    del outer
    assert finalizers.take() == ("outer", "inner")


def test_from_any_thread(wakes: Wakes) -> None:
    """The last reference may go in any thread: the wake-up comes from there, nothing is lost."""
    finalizers = Finalizers(wakes)
    owners = [[Binding(f"{t}-{n}", "collected") for n in range(200)] for t in range(4)]
    for thread_number in range(4):
        tie_all(finalizers, owners[thread_number])
    taken: list[str] = []
    threads = [threading.Thread(target=group.clear) for group in owners]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += finalizers.take()
    for thread in threads:
        thread.join()
    taken += finalizers.take()
    assert sorted(taken) == sorted(f"{t}-{n}" for t in range(4) for n in range(200))
    assert threading.main_thread() not in wakes.threads


def test_nothing_at_the_interpreters_exit() -> None:
    """What lives to the end is not enqueued: the worker goes with all it holds."""
    code = (
        "from asyncbridge.lifetime import Finalizers\n"
        "from asyncbridge.references import Binding\n"
        "keep = Binding('x', 'collected')\n"
        "Finalizers(lambda: print('woken')).tie(keep, 'x')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=HANG_S
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_no_reference_to_the_owner(wakes: Wakes) -> None:
    """To be tied keeps nobody alive."""
    finalizers = Finalizers(wakes)
    owner = Binding("x", "collected")
    before = sys.getrefcount(owner)
    finalizers.tie(owner, "x")
    assert sys.getrefcount(owner) == before


def test_a_name_is_told_as_what_it_stands_for(wakes: Wakes) -> None:
    """As long as its owner lives, and if that is known."""
    finalizers = Finalizers(wakes)
    owner, plain = Binding("x", "collected"), Binding("y", "collected")
    finalizers.tie(owner, "x", lambda: "what was put at app.py:3")
    finalizers.tie(plain, "y")
    told = [finalizers.told(name) for name in ("x", "y", "z")]
    assert told == ["what was put at app.py:3", "'y'", "'z'"]
    del owner
    gc.collect()
    assert finalizers.told("x") == "'x'"


def test_owners_that_share_a_name(wakes: Wakes) -> None:
    """It goes with the last of them; where a policy has it, with none."""
    finalizers = Finalizers(wakes)
    one, two = Binding("x", "collected"), Binding("x", "collected")
    finalizers.share(one, "x")
    finalizers.share(two, "x")
    del one
    assert finalizers.take() == ()
    del two
    assert finalizers.take() == ("x",)
    hold, three = Hold("y", finalizers), Binding("y", "of one's own")
    finalizers.share(three, "y")
    del three
    assert finalizers.take() == ()
    hold.release()
    assert finalizers.take() == ("y",)
