from __future__ import annotations

from typing import Any

import numpy as np

from asyncbridge.models.mirrors.weights import as_arrays
from asyncbridge.references import Binding


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


def test_what_is_in_the_worker_goes_by_itself() -> None:
    """Of all of them, or of one."""
    binding: Any = Binding("w", "eternal")
    assert as_arrays(binding) is binding
    assert as_arrays([binding])[0] is binding
