"""What a policy has of one binding."""

from __future__ import annotations

import gc
import threading
import weakref

import pytest

from asyncbridge.lifetime.finalizers import Finalizers
from asyncbridge.lifetime.holds import Hold


class Owner:
    """An object here that stands for a binding."""


def test_it_keeps_its_handle_not_alive() -> None:
    """A policy may keep a hold for ever."""
    gc.disable()
    try:
        owner = Owner()
        gone = weakref.ref(owner)
        hold = Hold("x", Finalizers(lambda: None), owner)
        del owner
        assert gone() is None
    finally:
        gc.enable()
    with pytest.raises(ValueError, match="x: a collected binding needs an object here"):
        hold.tie()


def test_what_it_is_called() -> None:
    """Once it is tied, errors say what a person would call it."""
    finalizers, owner = Finalizers(lambda: None), Owner()
    hold = Hold("x", finalizers, owner, lambda: "the model of app.py:3")
    assert repr(hold) == "<Hold x>"
    assert finalizers.told("x") == "'x'"
    hold.tie()
    assert finalizers.told("x") == "the model of app.py:3"


def test_released_before_its_handle_is_garbage() -> None:
    """The name goes once: the end of the handle, later, adds nothing."""
    finalizers, owner = Finalizers(lambda: None), Owner()
    hold = Hold("x", finalizers, owner)
    hold.tie()
    hold.release()
    assert finalizers.take() == ("x",)
    del owner
    assert finalizers.take() == ()


def test_released_from_another_thread() -> None:
    """That wakes the loop, from there, and once for many."""
    woken = list[threading.Thread]()
    finalizers = Finalizers(lambda: woken.append(threading.current_thread()))
    hold = Hold("x", finalizers)

    def release_twice() -> None:
        hold.release()
        hold.release()

    thread = threading.Thread(target=release_twice)
    thread.start()
    thread.join()
    assert woken == [thread]
    assert set(finalizers.take()) == {"x"}
