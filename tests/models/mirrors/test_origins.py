from __future__ import annotations

import sys

import numpy as np

from asyncbridge.models import layers
from asyncbridge.models.mirrors.origins import Origin, call_site, call_text


def test_a_note_tells_the_call_and_the_line() -> None:
    """The note reads as the call that made it, with short arguments."""
    text = call_text("keras.layers.Dense", [16], {"name": "a" * 200, "x": np.zeros(3)})
    assert text.startswith("keras.layers.Dense(16, name='aaa")
    assert text.endswith("x=<ndarray (3,) float64>)")
    assert len(text) < 150
    note = Origin(call="keras.layers.Dense(16)", site="app.py:12, in build_model").note()
    assert note == "keras.layers.Dense(16) was made at app.py:12, in build_model"


def test_the_site_is_the_first_line_outside_the_package() -> None:
    """Frames of the package's own are passed over, however deep the call is."""
    here = sys._getframe().f_lineno + 1
    dense = layers.Dense(3)
    expected = f"{__file__}:{here}, in test_the_site_is_the_first_line_outside_the_package"
    assert dense._origin.site == expected
    assert call_site(object()).endswith("in test_the_site_is_the_first_line_outside_the_package")


def test_the_constructor_is_passed_over_wherever_it_stands() -> None:
    """A mirror's class may be the user's own: the site is the line that called it."""

    class Own:
        def __init__(self) -> None:
            self.site = call_site(self)

    here = sys._getframe().f_lineno + 1
    own = Own()
    assert own.site.startswith(f"{__file__}:{here}, in test_the_constructor")


def test_a_package_with_a_like_name_is_the_users() -> None:
    """Only asyncbridge itself is passed over, not what merely begins with its name."""
    scope: dict[str, object] = {"__name__": "asyncbridge_app", "call_site": call_site}
    exec(compile("def build():\n    return call_site(object())\n", "app.py", "exec"), scope)
    build = scope["build"]
    assert callable(build)
    assert build() == "app.py:2, in build"
