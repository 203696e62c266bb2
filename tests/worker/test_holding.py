from __future__ import annotations

from asyncbridge.worker.executor import StepExecutor
from asyncbridge.worker.holding import Hold


class Bench:
    """Two sessions that take turns in one executor."""

    def __init__(self) -> None:
        self.executor = StepExecutor()
        self.held, self.free = Hold(), Hold()
        self.did: list[str] = []

    def put(self, hold: Hold, *names: str) -> None:
        """Queue pieces of work."""
        for name in names:
            self.executor.submit(lambda name=name: hold.take(self.did.append, name))  # type: ignore[misc] # the default binds it


def test_what_is_not_held_is_done_in_turn() -> None:
    """At once, and nothing is kept."""
    bench = Bench()
    bench.put(bench.held, "a", "b")
    assert (bench.executor.run_all(), bench.did) == (2, ["a", "b"])


def test_a_hold_keeps_its_own_session_alone() -> None:
    """Others go on; what was kept is done when it is lifted, in its order."""
    bench = Bench()
    bench.held.put_up()
    for name in "123":
        bench.put(bench.held, f"held {name}")
        bench.put(bench.free, f"free {name}")
    bench.executor.run_all()
    assert bench.did == ["free 1", "free 2", "free 3"]
    bench.did.clear()
    bench.held.lift(bench.executor)
    bench.executor.run_all()
    assert bench.did == ["held 1", "held 2", "held 3"]


def test_what_comes_while_others_wait_is_done_behind_them() -> None:
    """A turn is that of the session's oldest work, whatever it was given for."""
    bench = Bench()
    bench.held.put_up()
    bench.put(bench.held, "1", "2")
    bench.executor.run_all()
    bench.put(bench.held, "3")  # has its turn before those that are given anew
    bench.held.lift(bench.executor)
    bench.put(bench.held, "4")
    bench.executor.run_all()
    assert bench.did == ["1", "2", "3", "4"]


def test_something_may_be_done_first() -> None:
    """As a command that runs again, before those behind it."""
    bench = Bench()
    bench.held.put_up()
    bench.put(bench.held, "2")
    bench.executor.run_all()
    bench.held.lift(bench.executor, (bench.did.append, "1"))
    bench.put(bench.held, "3")
    bench.executor.run_all()
    assert bench.did == ["1", "2", "3"]


def test_it_may_be_put_up_again_meanwhile() -> None:
    """Turns that were given for what waits find nothing to do, and new ones are given."""
    bench = Bench()
    bench.held.put_up()
    bench.put(bench.held, "1", "2")
    bench.executor.run_all()
    bench.held.lift(bench.executor, (lambda _: bench.held.put_up(), None))
    bench.executor.run_all()
    assert bench.did == []
    bench.held.lift(bench.executor)
    bench.executor.run_all()
    assert bench.did == ["1", "2"]


def test_lifted_with_nothing_behind_it_all_is_as_before() -> None:
    """The next piece of work has its own turn again."""
    bench = Bench()
    bench.held.put_up()
    bench.held.lift(bench.executor)
    bench.executor.run_all()
    bench.put(bench.held, "1")
    assert (bench.executor.run_all(), bench.did) == (1, ["1"])


def test_it_is_up_until_nothing_is_kept_back() -> None:
    """A hold that was lifted is over with the last piece of work that it had kept."""
    bench = Bench()
    assert not bench.held.is_up
    bench.held.put_up()
    bench.put(bench.held, "1", "2")
    bench.executor.run_all()
    bench.held.lift(bench.executor)
    bench.executor.step()
    assert bench.held.is_up
    bench.executor.run_all()
    assert not bench.held.is_up
