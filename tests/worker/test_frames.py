from __future__ import annotations

import traceback
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from asyncbridge.outcome import Error, capture
from asyncbridge.worker.folding import joined
from asyncbridge.worker.frames import (
    FRAME_LIMIT,
    frame_row,
    shown_steps,
    stack_text,
    steps_of,
    subjects,
    summary,
)
from asyncbridge.worker.namespace import Namespace

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    """A namespace of its own, forgotten after the test."""
    with closing(Namespace()) as namespace:
        yield namespace


def failed(namespace: Namespace, code: str) -> BaseException:
    """Return what the code raises."""
    outcome = capture(namespace.run, code)
    assert isinstance(outcome, Error)
    return outcome.error


def stack_of(error: BaseException) -> tuple[list[traceback.FrameSummary], int]:
    """Return the frames that are told, and how many are not."""
    shown, left_out = shown_steps(steps_of(error))
    return [summary(step) for step in shown], left_out


def test_a_statement_of_many_lines_is_marked_where_it_failed(namespace: Namespace) -> None:
    """By the line of the part that raised, with marks below that part."""
    stack, _ = stack_of(failed(namespace, "x = max(\n    1,\n    2 / 0,\n    3,\n)"))

    assert [frame_row(frame)[1:] for frame in stack] == [(3, "<module>", "2 / 0,")]
    text, _ = joined(stack_text(stack, 0))
    assert text.endswith(", line 3, in <module>\n    2 / 0,\n    ~~^~~\n")


def test_deep_recursion_is_counted(namespace: Namespace) -> None:
    """The outermost and the innermost frames stay."""
    stack, left_out = stack_of(failed(namespace, "def f(n):\n    f(n + 1)\nf(0)"))

    assert len(stack) == FRAME_LIMIT
    text, folds = joined(stack_text(stack, left_out))
    assert f"  [frames left out: {left_out}]\n" in text
    assert folds == ()


def test_frames_begin_at_the_generated_code(namespace: Namespace) -> None:
    """The worker's own around it are nobody's business; nor has every error frames."""
    steps = steps_of(failed(namespace, "1 / 0"))
    assert [step.tb_frame.f_code.co_name for step in steps] == ["<module>"]
    assert steps_of(ValueError()) == []
    assert joined(stack_text([], 0)) == ("", ())


def test_subjects_are_asked_for_by_identity(namespace: Namespace) -> None:
    """Innermost first, each once."""
    namespace.run("class A:\n    def f(self): 1 / 0\na = A()")
    steps = steps_of(failed(namespace, "a.f()"))
    assert subjects(steps, namespace.name_of) == ("a",)
    assert subjects(steps, lambda _obj: None) == ()
