from __future__ import annotations

import sys
import weakref

import pytest

from asyncbridge.models import layers
from asyncbridge.models.mirrors.origins import Origin, call_site, user_frame


def test_a_note_tells_the_call_and_the_line() -> None:
    """A layer is made at one line, and called at another to make a tensor."""
    made = Origin(call="keras.layers.Dense(16)", site="app.py:12, in build_model")
    assert made.note() == "keras.layers.Dense(16) was made at app.py:12, in build_model"
    called = Origin(call="<Dense units=16>(x)", site="app.py:13, in build_model", verb="called")
    assert called.note() == "<Dense units=16>(x) was called at app.py:13, in build_model"


def test_the_site_is_the_first_line_outside_the_package() -> None:
    """Frames of the package's own are passed over, however deep the call is."""
    here = sys._getframe().f_lineno + 1
    dense = layers.Dense(3)
    expected = f"{__file__}:{here}, in test_the_site_is_the_first_line_outside_the_package"
    assert dense._origin.site == expected
    assert call_site(object()).endswith("in test_the_site_is_the_first_line_outside_the_package")


def test_the_frame_is_the_users() -> None:
    """Warnings name its file and line."""
    assert user_frame(object()) is sys._getframe()


def test_the_constructor_is_passed_over_wherever_it_stands() -> None:
    """A mirror's class may be the user's own: the site is the line that called it."""

    class Own:
        def __init__(self) -> None:
            self.site = call_site(self)

    class Derived(Own):
        def __init__(self) -> None:
            super().__init__()

    for kind in (Own, Derived):
        here = sys._getframe().f_lineno + 1
        own = kind()
        assert own.site.startswith(f"{__file__}:{here}, in test_the_constructor")


def test_another_object_of_the_class_is_the_users() -> None:
    """A method that makes one of its own class is a line of the user's."""

    class Own:
        def __init__(self) -> None:
            self.site = call_site(self)

        def again(self) -> Own:
            return Own()

    assert Own().again().site.endswith(", in again")


def test_a_package_with_a_like_name_is_the_users() -> None:
    """Only asyncbridge itself is passed over, not what merely begins with its name."""
    scope: dict[str, object] = {"__name__": "asyncbridge_app", "call_site": call_site}
    exec(compile("def build():\n    return call_site(object())\n", "app.py", "exec"), scope)
    build = scope["build"]
    assert callable(build)
    assert build() == "app.py:2, in build"


@pytest.mark.usefixtures("no_bridge")
def test_the_users_frame_keeps_nothing() -> None:
    """What he deletes is gone at once, though its frame was looked at meanwhile."""
    first = layers.Dense(1)
    layers.Dense(2)
    seen = weakref.ref(first)
    del first
    assert seen() is None
