"""Where in the user's code a mirror was made, for the errors that come back."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import CodeType, FrameType

__all__ = ["Origin", "call_site", "user_frame"]

_PACKAGE = "asyncbridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """The call that made a mirror, as text: it must keep no mirror alive.

    Attributes:
        call: The call, with short arguments.
        site: ``file:line, in function``.
        verb: What was done there: a layer is made, and called to make a tensor.
    """

    call: str
    site: str
    verb: str = "made"

    def note(self) -> str:
        """Return the line that an error gets."""
        return f"{self.call} was {self.verb} at {self.site}"

    def title(self) -> str:
        """Return what an error calls it in a sentence."""
        return f"{self.call} ({self.verb} at {self.site})"


def user_frame(made: object) -> FrameType:
    """Return the first frame up the stack that is neither this package's nor the object's own.

    Args:
        made: The object that is made or called; its class may stand in the user's code.
    """
    frame = sys._getframe(1)  # inspect.stack() reads source files: 1,000 times slower
    while frame.f_back is not None and _is_own(frame, made):
        frame = frame.f_back
    return frame


def call_site(made: object) -> str:
    """Return the line of ``user_frame``, as ``file:line, in function``."""
    frame = user_frame(made)
    code = frame.f_code
    return f"{code.co_filename}:{frame.f_lineno}, in {code.co_name}"


def _is_own(frame: FrameType, made: object) -> bool:
    module: str = frame.f_globals.get("__name__", "")
    if module == _PACKAGE or module.startswith(f"{_PACKAGE}."):
        return True
    # The locals last: to look at them makes a copy, which lives as long as the frame, so what
    # the user has deleted in his own would live on.
    return _is_method(frame.f_code, made) and frame.f_locals.get("self") is made


def _is_method(code: CodeType, made: object) -> bool:
    named = (vars(base).get(code.co_name) for base in type(made).__mro__)
    return any(getattr(function, "__code__", None) is code for function in named)
