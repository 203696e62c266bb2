"""The variables of an error's frames by short ``repr``, for a client that has asked for them.

They run the user's code: in a thread of their own, which is waited for only so long, and where
whatever they raise stays.
"""

from __future__ import annotations

import ctypes
import inspect
import itertools
import threading
import time
from functools import partial
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING, Any, Final

from asyncbridge.worker.folding import room_of
from asyncbridge.worker.guards import LINE_LIMIT, attempt, cut
from asyncbridge.worker.reprs import Short

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import FrameType

__all__ = ["Variables"]

VARIABLE_LIMIT: Final = 16
"""Variables of one frame."""
FRAMES_READ: Final = 12
"""Frames of one traceback, the innermost, whose variables are told."""
SECONDS: Final = 1.0
"""How long all variables of one error may take."""
TOO_LATE: Final = "<repr() took too long>"

_SHORT: Final = Short()


class Variables:
    """Reads the variables of one error's frames, its causes' included.

    Args:
        gone: What stood in the scope that all commands share, while the code ran.
        seconds: How long all of it may take.
        clock: Seconds.
    """

    def __init__(
        self,
        gone: Mapping[str, object],
        *,
        seconds: float = SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gone = gone
        self._clock = clock
        self._deadline = clock() + seconds

    def of(self, frames: Sequence[FrameType]) -> list[dict[str, str]]:
        """Return the variables of each frame by name; of a framework's frames none.

        Args:
            frames: Outermost first.
        """
        first = len(frames) - FRAMES_READ
        nothing: Mapping[str, object] = {}
        found = [
            nothing if place < first else attempt(partial(_variables, frame, self._gone), nothing)
            for place, frame in enumerate(frames)
        ]
        texts = iter(self._texts([value for values in found for value in values.values()]))
        return [{cut(name, LINE_LIMIT): next(texts) for name in values} for values in found]

    def _texts(self, values: Sequence[object]) -> list[str]:
        """Return the ``repr`` of each value, as far as time allows."""
        if not values:
            return []
        done: list[str] = []
        late = threading.Event()
        thread = threading.Thread(
            target=_write, args=(values, done, late), name="asyncbridge-variables", daemon=True
        )
        thread.start()
        thread.join(max(0.0, self._deadline - self._clock()))
        if thread.is_alive():
            late.set()
            _interrupt(thread)
        told = done[: len(values)]
        return [*told, *itertools.repeat(TOO_LATE, len(values) - len(told))]


def _variables(frame: FrameType, gone: Mapping[str, object]) -> Mapping[str, object]:
    code = frame.f_code
    if room_of(code.co_filename):
        return {}
    # The locals of a class's body may be any mapping, with methods of its own.
    scope: Any = frame.f_locals
    if code.co_flags & inspect.CO_OPTIMIZED:
        names: Iterable[str] = (*code.co_varnames, *code.co_cellvars, *code.co_freevars)
    elif type(scope) is dict:
        # Of the scope that all commands share, those that the code itself names.
        names, scope = code.co_names, {**scope, **gone}
    else:
        return {}
    found = {name: scope[name] for name in names if name in scope and _is_told(name, scope[name])}
    return dict(itertools.islice(found.items(), VARIABLE_LIMIT))


def _is_told(name: str, value: object) -> bool:
    # What code defines and imports says nothing; ".0" is what a comprehension goes through.
    return name.isidentifier() and not issubclass(type(value), ModuleType | FunctionType | type)


def _write(values: Sequence[object], done: list[str], late: threading.Event) -> None:
    for value in values:
        text = _SHORT.line(value)
        if late.is_set():
            return
        done.append(text)


def _interrupt(thread: threading.Thread) -> None:
    # SystemExit ends a thread without a word.
    ident = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
