from __future__ import annotations

import subprocess
import sys
from signal import SIGSEGV

import pytest

from asyncbridge.testing.faults import Crash, Failure, FaultPlan
from asyncbridge.worker.namespace import NAMESPACE_NAME

FAILURE = Failure(type="some.library.Trouble", message="no luck")


def test_the_code_of_a_failure_raises_it() -> None:
    """The type is made where the code runs, with its module, under its own name."""
    with pytest.raises(Exception, match="no luck") as caught:
        exec(FAILURE.code, dict(FAILURE.bindings))
    assert (caught.type.__module__, caught.type.__qualname__) == ("some.library", "Trouble")


def test_a_type_without_a_module_is_a_builtin_one() -> None:
    """Itself: no other class has its name without a module."""
    failure = Failure(type="ValueError", message="no luck")
    with pytest.raises(ValueError, match="no luck"):
        exec(failure.code, dict(failure.bindings))


@pytest.mark.parametrize("name", ["UnicodeDecodeError", "int", "Trouble"])
def test_any_other_is_a_commands_own(name: str) -> None:
    """One that is not made of a text, too."""
    failure = Failure(type=name, message="no luck")
    with pytest.raises(Exception, match="no luck") as caught:
        exec(failure.code, dict(failure.bindings))
    assert caught.type.__module__ == NAMESPACE_NAME


@pytest.mark.parametrize("name", ["", "two words", "a..b", ".b", "1st"])
def test_a_type_that_is_no_name_is_refused(name: str) -> None:
    """Where it is written, not in the worker."""
    with pytest.raises(ValueError, match="no name of an exception's type"):
        Failure(type=name, message="")


@pytest.mark.parametrize("times", [0, -1])
def test_a_number_of_times_is_positive(times: int) -> None:
    """Never would be no fault at all."""
    with pytest.raises(ValueError, match="times="):
        FaultPlan().add(FAILURE, times=times, match=None)


def test_faults_come_in_their_order_and_then_no_more() -> None:
    """Each as often as it says; None is for ever."""
    plan, crash = FaultPlan(), Crash(signal=SIGSEGV)
    plan.add(FAILURE, times=2, match=None)
    plan.add(crash, match=None)
    assert [plan.take("", "x") for _ in range(4)] == [FAILURE, FAILURE, crash, None]
    plan.add(FAILURE, times=None, match=None)
    assert [plan.take("", "x") for _ in range(3)] == [FAILURE] * 3
    plan.clear()
    assert plan.take("", "x") is None


def test_a_name_goes_before_the_code() -> None:
    """A fault for ``fit`` is not for what merely speaks of it."""
    plan = FaultPlan()
    plan.add(FAILURE, match="fit")
    assert plan.take("Sequential.predict", "model.fit()") is None
    assert plan.take("", "model.evaluate()") is None
    assert plan.take("", "model.fit()") is FAILURE
    assert plan.take("Sequential.fit", "") is None


def test_the_code_of_a_crash_ends_the_process() -> None:
    """By the signal that was asked for."""
    crash = Crash(signal=SIGSEGV)
    code = f"import resource\nresource.setrlimit(resource.RLIMIT_CORE, (0, 0))\nexec({crash.code!r}, {dict(crash.bindings)!r})"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -SIGSEGV
