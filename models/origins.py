"""Where in the user's code a mirror was made, for the errors that come back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncbridge.models.arguments import show

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import FrameType

__all__ = ["Origin", "call_site"]

_PACKAGE = "asyncbridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The call that made a mirror.

    Attributes:
        keras_name: Full name of what was called.
        leading: The arguments that read best by position.
        named: The other ones that differ from their default.
        site: ``file:line, in function``.
    """

    keras_name: str
    leading: tuple[object, ...]
    named: Mapping[str, object]
    site: str

    def note(self) -> str:
        """Return the line that an error gets."""
        shown = [*map(show, self.leading), *(f"{k}={show(v)}" for k, v in self.named.items())]
        return f"{self.keras_name}({', '.join(shown)}) was made at {self.site}"


def call_site(made: object) -> str:
    """Return the first line up the stack that is neither this package's nor the object's own.

    Args:
        made: The object under construction; its class may stand in the user's code.
    """
    frame = sys._getframe(1)  # inspect.stack() reads source files: 1,000 times slower
    while frame.f_back is not None and _is_own(frame, made):
        frame = frame.f_back
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno}, in {code.co_name}"


def _is_own(frame: FrameType, made: object) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    if module == _PACKAGE or module.startswith(f"{_PACKAGE}."):
        return True
    return frame.f_locals.get("self") is made
