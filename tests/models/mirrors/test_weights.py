from __future__ import annotations

import numpy as np

from asyncbridge.models.mirrors.weights import as_arrays


def test_lists_become_arrays() -> None:
    """Each weight of its own, nested lists and plain numbers too."""
    kernel, bias, scale = as_arrays([[[1.0, 2.0]], (0.5, 0.5), 3])
    assert [np.asarray(one).shape for one in (kernel, bias, scale)] == [(1, 2), (2,), ()]
    assert all(isinstance(one, np.ndarray) for one in (kernel, bias, scale))


def test_arrays_go_as_they_are() -> None:
    """What has a dtype is not copied."""
    weight = np.zeros(3, "float16")
    (kept,) = as_arrays(iter([weight]))
    assert kept is weight
