"""A bridge's references: one for each object, and what goes back when."""

from __future__ import annotations

import gc
import sys
import threading
import weakref

import pytest

from asyncbridge.client.references import References
from asyncbridge.errors import DecodeError, StaleReference
from asyncbridge.protocol.keeping import Told
from asyncbridge.references import Ref
from asyncbridge.serialization.handles import ref


class Home:
    """A bridge's stand-in."""


class Rig:
    """References of an open bridge; ``woken`` says in which threads the loop was asked to look."""

    def __init__(self) -> None:
        self.home = Home()
        self.woken: list[threading.Thread] = []
        self.references = References(lambda: self.woken.append(threading.current_thread()))
        self.home._references = self.references  # type: ignore[attr-defined]  # as a bridge has it
        self.references.begin(self.home, "life-1")

    def tell(self, number: int, text: str = "") -> Ref:
        """Return the reference of an object that an outcome has told of."""
        made = self.references.of(told(number, text))
        self.references.count([number])
        return made


def told(number: int, text: str = "") -> Told:
    """Return what a worker tells."""
    return Told(number, "app.Thing", text, 0, "")


@pytest.fixture
def rig() -> Rig:
    """References."""
    return Rig()


def test_one_for_one_object(rig: Rig) -> None:
    """While it lives: it tells what was told last."""
    one = rig.tell(1, "first")
    assert rig.tell(1, "second") is one
    assert one.about.text == "second"
    assert rig.tell(2) is not one
    rig.references.take()
    assert (len(rig.references), len(rig.references.living())) == (1, 1)


def test_what_a_worker_tells_is_read(rig: Rig) -> None:
    """And what is none is refused."""
    tree: dict[str, object] = {"$": "ref", "v": list(told(3))}
    assert rig.references.told(tree).about == told(3)
    with pytest.raises(DecodeError):
        rig.references.told({"$": "ref", "v": []})
    assert ref(told(3))["v"] == tuple(told(3))


def test_it_goes_back_as_often_as_it_was_told(rig: Rig) -> None:
    """All at once, when the reference is garbage; the loop is asked to look once for many."""
    one, two = rig.tell(1), rig.tell(2)
    rig.tell(1)
    assert (rig.references.take(), rig.woken) == ((), [])
    del one, two
    assert rig.woken == [threading.current_thread()]
    assert rig.references.take() == ((1, 2), (2, 1))
    assert rig.references.take() == ()
    assert len(rig.references) == 0
    rig.tell(3)
    assert len(rig.woken) == 2


def test_no_collector_is_needed(rig: Rig) -> None:
    """Nothing keeps a reference but who holds it; one in a cycle waits for the collector."""
    gc.disable()
    try:
        gone = weakref.ref(rig.tell(1))
        assert gone() is None
        cycle: list[object] = [rig.tell(2)]
        cycle.append(cycle)
        del cycle
        assert rig.references.take() == ((1, 1),)
        gc.collect()
        assert rig.references.take() == ((2, 1),)
    finally:
        gc.enable()


def test_told_again_after_its_end(rig: Rig) -> None:
    """The former claims go back, and the new ones do not, whenever the loop looks."""
    rig.tell(1)
    again = rig.tell(1)
    assert rig.references.take() == ((1, 1),)
    assert [each is again for each in rig.references.living()] == [True]
    del again
    assert rig.references.take() == ((1, 1),)


def test_what_was_never_counted_does_not_go_back(rig: Rig) -> None:
    """The value was read, and its outcome was not taken: the worker has it back already."""
    rig.references.of(told(1))
    assert rig.references.take() == ()
    assert len(rig.references) == 0


def test_released_while_it_lives(rig: Rig) -> None:
    """It goes back at once, and once; the next that is told of the object is another reference."""
    one = rig.tell(1)
    one.release()
    one.release()
    with pytest.raises(StaleReference, match="was released by release"):
        one._home()
    again = rig.tell(1)
    assert again is not one
    assert rig.references.take() == ((1, 1),)
    del one
    assert rig.references.take() == ()
    assert [each is again for each in rig.references.living()] == [True]


def test_released_by_the_worker_s_end(rig: Rig) -> None:
    """There is nothing to give back to: each says what has become of its worker."""
    one, two = rig.tell(1), rig.tell(2)
    del two
    rig.references.end("it was killed")
    rig.references.begin(rig.home, "life-2")
    assert rig.references.take() == ()
    with pytest.raises(StaleReference, match="worker life-1, which ended .*: it was killed"):
        one._home()
    new = rig.tell(1)
    assert new is not one
    del one
    assert rig.references.take() == ()
    del new
    assert rig.references.take() == ((1, 1),)


def test_moved_to_another_worker(rig: Rig) -> None:
    """They go on with their numbers, one claim each; what was not moved is stale, and says why."""
    stays, lost, released = rig.tell(1), rig.tell(2), rig.tell(3)
    rig.tell(1)
    rig.tell(4)
    released.release()
    living = {1: stays, 2: lost, 3: released}
    rig.references.move(living, {2: "it is a file"}, "life-2", "it was replaced")
    assert rig.references.residence.incarnation == "life-2"
    assert rig.references.take() == ()
    home: object = stays._home()
    assert home is rig.home
    with pytest.raises(
        StaleReference, match="life-1, .* it was replaced; it was not moved: it is a"
    ):
        lost._home()
    with pytest.raises(StaleReference):
        released._home()
    assert rig.tell(1) is stays
    del stays, lost, released, living
    assert rig.references.take() == ((1, 2),)


def test_those_of_a_value(rig: Rig) -> None:
    """Each once, however often it was told; what has gone is left out."""
    one = rig.tell(1)
    rig.tell(2)
    (found,) = rig.references.living_of([1, 1, 2, 9])
    assert found is one


def test_asked_for(rig: Rig) -> None:
    """A reference that was unpickled is counted like one that was told."""
    one = rig.references.claim(told(4))
    assert rig.references.claim(told(4)) is one
    del one
    assert rig.references.take() == ((4, 2),)


def test_a_finalizer_in_the_middle_of_anything(rig: Rig) -> None:
    """It takes no lock: the collector may run while this thread has it."""
    kept = [rig.tell(1)]
    with rig.references._lock:
        kept.clear()
    assert rig.references.take() == ((1, 1),)


def test_in_several_threads(rig: Rig) -> None:
    """Values are read, and references die, in any thread while the loop takes: nothing is lost."""
    rounds, numbers = 300, 5
    given: dict[int, int] = dict.fromkeys(range(1, numbers + 1), 0)
    interval = sys.getswitchinterval()
    lock = threading.Lock()

    def read() -> None:
        for step in range(rounds):
            number = step % numbers + 1
            with lock:  # outcomes are taken one by one, on the loop
                rig.tell(number)

    threads = [threading.Thread(target=read) for _ in range(3)]
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            for number, count in rig.references.take():
                given[number] += count
    finally:
        sys.setswitchinterval(interval)
    for thread in threads:
        thread.join()
    for number, count in rig.references.take():
        given[number] += count
    assert given == dict.fromkeys(given, 3 * rounds // numbers)
    assert len(rig.references) == 0
