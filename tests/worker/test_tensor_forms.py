"""What needs no framework; tests/worker/models/test_moving.py has real tensors."""

from __future__ import annotations

import numpy as np
import pytest

from asyncbridge.errors import SerializationError
from asyncbridge.worker.tensor_forms import array_of, is_tensor, sent, take_apart


def test_other_objects() -> None:
    """Arrays and other objects are no tensors."""
    for thing in (np.zeros(2), [1], object()):
        assert not is_tensor(thing)
        assert take_apart(thing) is None


def test_arrays_are_views() -> None:
    """An array is not copied for its being sent."""
    array = np.zeros(3)
    assert np.shares_memory(array_of(array), array)
    assert np.shares_memory(sent(array), array)


def test_what_has_no_wire_form() -> None:
    """Elements that are objects are refused here, not when all is sent."""
    with pytest.raises(SerializationError, match="dtype object"):
        sent(np.array([object()]))
