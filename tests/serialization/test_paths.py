from __future__ import annotations

import pytest

from asyncbridge.serialization import paths

TARGET = object()


@pytest.mark.parametrize(
    ("value", "depth", "expected"),
    [
        (TARGET, 0, ""),
        ({"a": [0, (TARGET,)]}, 3, '["a"][1][0]'),
        ({1: {2.5: TARGET}}, 2, "[1][2.5]"),
        ({TARGET: 1}, 1, "{key <object>}"),
        ({(1, TARGET): 1}, 2, "{key <tuple>}[1]"),
        ({TARGET}, 1, "{<object>}"),
        (frozenset({TARGET}), 1, "{<object>}"),
        (slice(1, TARGET), 1, ".stop"),
        ({'q"': TARGET}, 1, '["q\\""]'),
        ({"k" * 100: TARGET}, 1, '["' + "k" * 38 + "…]"),
        ({2**70: TARGET}, 1, "[<big int>]"),
    ],
)
def test_the_path_is_what_python_would_index_with(value: object, depth: int, expected: str) -> None:
    """Each container adds its own step, and long keys are cut."""
    steps = paths.find(value, TARGET, depth)
    assert steps is not None
    assert paths.render(steps) == expected


def test_only_the_given_depth_counts() -> None:
    """The same object at another depth is not the one that was refused."""
    steps = paths.find([TARGET, [TARGET]], TARGET, 2)
    assert steps is not None
    assert paths.render(steps) == "[1][0]"


def test_what_is_not_there_is_not_found() -> None:
    """A value without the target has no path to it."""
    assert paths.find([[1], {"a": 2}], TARGET, 2) is None


def test_the_middle_of_a_long_path_is_left_out() -> None:
    """A path of many steps shows its two ends."""
    text = paths.render([("[0]", None)] * 50)
    assert text == "[0]" * 6 + "…38 steps…" + "[0]" * 6


def test_a_loop_is_where_a_container_stands_in_itself() -> None:
    """Both ends of a cycle are named."""
    inner: list[object] = []
    root = {"a": inner}
    inner.append(inner)
    steps = paths.find(root, inner, 5)
    assert steps is not None
    assert paths.loop(root, steps) == ('["a"][0]', '["a"]')
    assert paths.loop([[TARGET]], [("[0]", [TARGET]), ("[0]", TARGET)]) is None
