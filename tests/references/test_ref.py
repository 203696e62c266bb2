"""References: what they tell, and when they are of no use."""

from __future__ import annotations

import pickle
from weakref import ref

import pytest

from asyncbridge.errors import BridgeClosed, SerializationError, StaleReference
from asyncbridge.protocol.keeping import Told
from asyncbridge.references import Ref, Residence
from asyncbridge.references.ref import refuse_ref, sized
from tests.references.conftest import Home

MODEL = Told(7, "keras.Model", "<Model>", 2048, "gpu:0")


def test_what_it_tells(home: Home) -> None:
    """Number, class, text, size and place, as far as they are known; nothing is sent."""
    reference = Ref(MODEL, ref(home), home.residence)
    assert reference.about == MODEL
    assert repr(reference) == "<Ref 7 keras.Model <Model> 2.0 KiB gpu:0>"
    assert repr(Ref(Told(1, "int", "", 0, ""), ref(home), home.residence)) == "<Ref 1 int>"
    assert home.sent == []


def test_its_repr_steers_no_terminal(home: Home) -> None:
    """What the worker has told may hold anything; only the repr has escapes."""
    hostile = Told(1, "shop.\x1b[31mOrder", "a\nb\u202e", 0, "")
    reference = Ref(hostile, ref(home), home.residence)
    assert repr(reference) == r"<Ref 1 shop.\x1b[31mOrder a\nb\u202e>"
    assert reference.about == hostile


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, ""), (1, "1 bytes"), (1023, "1023 bytes"), (1536, "1.5 KiB"), (2**60, "1048576.0 TiB")],
)
def test_sizes(size: int, text: str) -> None:
    """They are told as people read them; what is not known is not told."""
    assert sized(size) == text


def test_released(home: Home) -> None:
    """It goes back once, and says afterwards how it went."""
    reference = home.reference(1)
    reference.release()
    reference.release()
    assert [how for _, how in home.released] == ["by release()"]
    assert home.released[0][0] is reference
    with pytest.raises(StaleReference, match=r"was released by release\(\)") as caught:
        reference._home()
    assert (caught.value.number, caught.value.incarnation) == (1, "life-1")
    assert caught.value.reason == "released by release()"
    assert home.sent == []


def test_its_worker_is_gone(home: Home) -> None:
    """The error says which worker, when it ended, and why; the first reason stays."""
    reference = Ref(MODEL, ref(home), home.residence)
    home.residence.end("killed by SIGKILL")
    home.residence.end("closed")
    with pytest.raises(StaleReference) as caught:
        reference._home()
    error = caught.value
    assert (error.number, error.reason) == (7, "killed by SIGKILL")
    assert error.died_at == home.residence.died_at
    assert str(error).startswith(
        "<Ref 7 keras.Model <Model> 2.0 KiB gpu:0> is gone: it was an object"
    )
    assert "worker life-1, which ended at " in str(error)


def test_its_bridge_is_gone() -> None:
    """A reference keeps no bridge alive."""
    home = Home()
    reference = home.reference(1)
    home.objects.clear()
    del home._references
    del home
    with pytest.raises(BridgeClosed, match="its bridge is gone"):
        reference._home()
    reference.release()


def test_where_nobody_is_asked(home: Home) -> None:
    """What came in the place of a value is refused by what it is; a value passes."""
    assert refuse_ref(3, "x") == 3
    with pytest.raises(
        SerializationError, match="x has no wire form: an object of class keras.Model stays"
    ):
        refuse_ref(Ref(MODEL, ref(home), home.residence), "x")


def test_pickling_asks_the_bridge(home: Home) -> None:
    """One that is stale cannot be pickled, either."""
    reference = Ref(MODEL, ref(home), Residence("life-2"))
    reference._residence.end("it died")
    with pytest.raises(StaleReference, match="life-2"):
        pickle.dumps(reference)
