"""Errors of Keras and its backends without the data that some of them print.

Keras puts the whole of ``x`` into some messages, megabytes of it, and TensorFlow lists a batch's
labels. Here a short description takes their place, and the rest of the text stays. Nothing is
looked at unless there is an error.
"""

from __future__ import annotations

import ast
import re
from contextlib import suppress
from functools import partial, wraps
from itertools import islice
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["described", "take_data_out", "without_data"]

P = ParamSpec("P")
T = TypeVar("T")

DATA = frozenset({"x", "y", "sample_weight", "validation_data"})
"""The arguments of ours that are data; what others were given may be told."""
SHORT = 40
"""Characters up to which a value's text may be in a message by chance."""
PARTS = 6
"""Items up to which a structure of arrays is shown as such."""
CHILDREN = 1_000
"""Parts of a container that are looked for in a message, too."""

_CONTAINERS = (list, tuple, dict, set, frozenset)
_NUMBER = r"[-+]?+(?:\d++(?:\.\d*+)?+(?:e[-+]?\d++)?+|nan|inf)(?!\w)"
_BETWEEN = r"[\s,;\[\]{}]++(?:\.\.\.[\s,]*+)?+"
# Eight numbers or more. No parentheses between them: shapes stand in those, and are no data.
_NUMBERS = re.compile(rf"[\[{{]*+(?<![\w.]){_NUMBER}(?:{_BETWEEN}{_NUMBER}){{7,}}+[\]}}]*+")
_TEXT = r"(?:b?'(?:[^'\\]|\\.)*+'|b?\"(?:[^\"\\]|\\.)*+\")"
_TEXTS = re.compile(rf"{_TEXT}(?:, {_TEXT}){{2,}}+")
"""Three quoted texts or more."""
_PATTERNS = (
    (re.compile(r"Label values:[-\d\s]*\d"), "[label values left out]"),
    # Tensors with their values: TensorFlow's repr and str.
    (
        re.compile(r"(<tf\.\w+: shape=[^=]*, dtype=\w+), numpy=.*?>(?=[\s,;.)\]}]|$)", re.DOTALL),
        r"\1>",
    ),
    (
        re.compile(r"tf\.Tensor\((?!shape=).*?,? shape=(\([^)]*\)), dtype=(\w+)\)", re.DOTALL),
        r"<tensor \1 \2>",
    ),
    (re.compile(r"(string(?: to (?:float|complex))?: ).*", re.DOTALL), r"\1[text left out]"),
    (
        re.compile(r"(invalid literal for int\(\) with base \d+: ).*", re.DOTALL),
        r"\1[text left out]",
    ),
    (
        re.compile(r"(passed as a keyword argument: )(?!<).*?( \(of type)", re.DOTALL),
        r"\1[value left out]\2",
    ),
    (re.compile(r"(Cannot convert ).*( to EagerTensor)", re.DOTALL), r"\1[value left out]\2"),
    (re.compile(r"(repeated terms are: ).*", re.DOTALL), r"\1[terms left out]"),
    (re.compile(r"(Received: )(?!<).*?( of rank \d)", re.DOTALL), r"\1[value left out]\2"),
    (re.compile(r"(<class '[^']*'>)(?:, \1){3,}"), r"\1, and so on"),
    # Where TensorFlow's graph was traced. Of the user's functions that is told, for it stands
    # nowhere else; Keras's files and the worker's are not.
    (
        re.compile(
            r'^  File "(?!<command [^\n]*, in (?!<module>))[^\n]*\n(?:    [^\n]*\n)?(?: *\n)?',
            re.MULTILINE,
        ),
        "",
    ),
    (re.compile(r" defined at \(most recent call last\):\n(?!  File)"), "\n"),
)


def without_data(function: Callable[P, T]) -> Callable[P, T]:
    """Take the data out of the messages of what the function raises."""

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            data = [*args[1:], *(value for name, value in kwargs.items() if name in DATA)]
            take_data_out(error, data)
            raise

    return call


def take_data_out(error: BaseException, data: Iterable[Any]) -> None:
    """Take the data out of the messages of an error, and of those that led to it."""
    # Data and errors may be of the user's classes: whatever those do, the error gets out.
    with suppress(Exception):
        _clean(error, list(data))


def described(value: Any) -> str:
    """Describe data in a few words, without any of it; a few arrays keep their structure."""
    kind = type(value).__name__
    if isinstance(value, (str, bytes)):
        return f"<text of {len(value)} characters>"
    if _is_structure(value):
        return _structure(value)
    if isinstance(value, _CONTAINERS):
        return f"<{kind} of {len(value)} item{'s' * (len(value) != 1)}>"
    shape = getattr(value, "shape", None)
    if shape is None:
        return f"<{kind}>"
    dtype = getattr(getattr(value, "dtype", None), "name", "")
    kind = {"ndarray": "array", "EagerTensor": "tensor"}.get(kind, kind)
    return f"<{kind} {tuple(shape)} {dtype}".rstrip() + ">"


def _is_structure(value: Any) -> bool:
    """Tell whether the items are arrays or containers, few of them, with names for keys."""
    if type(value) not in {list, tuple, dict} or not 1 <= len(value) <= PARTS:
        return False
    if isinstance(value, dict) and not all(type(k) is str and len(k) <= SHORT for k in value):
        return False
    return all(
        isinstance(part, _CONTAINERS) or getattr(part, "shape", ()) != ()
        for part in (value.values() if isinstance(value, dict) else value)
    )


def _structure(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name!r}: {_part(part)}' for name, part in value.items())}}}"
    parts = ", ".join(_part(part) for part in value)
    return f"[{parts}]" if isinstance(value, list) else f"({parts})"


def _part(part: Any) -> str:
    # One level of structure is enough to go by.
    return f"<{type(part).__name__}>" if _is_structure(part) else described(part)


def _clean(error: BaseException, data: list[Any]) -> None:
    """Clean the messages of an error and of those that led to it."""
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        link.args = tuple(_cleaned(arg, data) for arg in link.args)
        # TensorFlow's errors keep their text here, and have no args.
        text = vars(link).get("_message")
        if isinstance(text, str):
            vars(link)["_message"] = _cleaned(text, data)
        link = link.__cause__ or link.__context__


def _cleaned(part: Any, data: list[Any]) -> Any:
    if isinstance(part, str):
        return _without(part, data)
    is_data = isinstance(part, _CONTAINERS) or hasattr(part, "__array__")
    return described(part) if is_data else part


def _without(text: str, data: list[Any]) -> str:
    for value in _values(data):
        # A cheap bound: an item takes at least two characters.
        if isinstance(value, _CONTAINERS) and 2 * len(value) > len(text):
            continue
        for form in {str(value), repr(value)}:
            text = _replaced(text, form, described(value))
    if texts := frozenset(value for value in _values(data) if isinstance(value, (str, bytes))):
        text = _TEXTS.sub(partial(_texts_counted, texts), text)
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return _NUMBERS.sub(_counted, text)


def _values(data: list[Any]) -> Iterator[Any]:
    """Yield the data and its parts, the whole before its parts; single numbers are left out."""
    pending = list(reversed(data))
    while pending:
        value = pending.pop()
        if isinstance(value, _CONTAINERS):
            parts = value.values() if isinstance(value, dict) else value
            pending += reversed(list(islice(parts, CHILDREN)))
            yield value
        elif (isinstance(value, (str, bytes)) and value.strip()) or (
            getattr(value, "shape", ()) != ()
        ):
            yield value


def _replaced(text: str, form: str, instead: str) -> str:
    if len(form) > SHORT:
        return text.replace(form, instead)
    # Short texts may be anything's; after these it is the value.
    return re.sub(rf"(=|: |for |value \()({re.escape(form)})(?!\w)", lambda m: m[1] + instead, text)


def _texts_counted(data: frozenset[str | bytes], match: re.Match[str]) -> str:
    """Leave texts out if any of them is data; others, such as Keras's choices, stay."""
    texts = ast.literal_eval(f"[{match[0]}]")
    return match[0] if data.isdisjoint(texts) else f"[{len(texts)} texts left out]"


def _counted(match: re.Match[str]) -> str:
    return f"[{len(re.findall(_NUMBER, match[0]))} numbers left out]"
