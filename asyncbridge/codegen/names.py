"""Names: which the bridge accepts in generated code, and random ones that nobody else uses."""

from __future__ import annotations

import keyword
import random
import unicodedata

from asyncbridge.errors import IdentifierError

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEF"
"""Letters only, so that any of them may stand first; 32, so that each takes five bits."""
_BITS = 5
_LENGTH = 25
_SYSTEM = random.SystemRandom()


def check_identifier(name: object, *, dunder: bool = False) -> str:
    """Return the name if generated code may use it.

    Python folds identifiers to NFKC, so a name that is not already folded would come out as
    another one. A name that has Latin letters beside letters of another script, or a Latin
    letter that is not an ASCII letter with accents, can look just like an ASCII name while
    being a different one. This is the simplest rule that needs no table of look-alikes; a name
    written wholly in one other script is its user's own language, and passes.

    Args:
        name: What should be a name.
        dunder: Accept ``__names__`` too, for attributes and methods that are meant.

    Raises:
        IdentifierError: The name is refused; the text says why.
    """
    if type(name) is not str:
        raise IdentifierError(f"a name must be a plain str, not {type(name).__name__}: {name!r}")
    reason = _refusal(name, dunder=dunder)
    if reason is not None:
        raise IdentifierError(f"the name {name!r} is refused: {reason}")
    return name


def check_module(path: object) -> str:
    """Return the dotted path if each of its parts is an acceptable name.

    Raises:
        IdentifierError: A part is refused, or the path is relative or empty.
    """
    if type(path) is not str:
        raise IdentifierError(f"a module must be named by a str, not {type(path).__name__}")
    for part in path.split("."):
        check_identifier(part)
    return path


def random_name(prefix: str = "", *, source: random.Random = _SYSTEM) -> str:
    """Return a name that nobody else uses: the prefix and 25 random letters (paper, section 3).

    The program's own random state is neither read nor advanced.

    Args:
        prefix: What the name starts with, for a reader of the generated code.
        source: Where the bits come from; the operating system, unless a test says otherwise.
    """
    bits = source.getrandbits(_BITS * _LENGTH)
    mask = (1 << _BITS) - 1
    letters = (_LETTERS[bits >> (_BITS * place) & mask] for place in range(_LENGTH))
    return check_identifier(prefix + "".join(letters))


LOOKALIKES = frozenset(
    "\u0430\u0435\u043e\u0440\u0441\u0443\u0445\u0455\u0456\u0458\u04bb\u0501\u051b\u051d"  # Cyrillic, small
    "\u0410\u0412\u0415\u041a\u041c\u041d\u041e\u0420\u0421\u0422\u0423\u0425\u0405\u0406\u0408"  # capital
    "\u03b1\u03b9\u03ba\u03bd\u03bf\u03c1\u03c5\u03c7"  # Greek, small
    "\u0391\u0392\u0395\u0396\u0397\u0399\u039a\u039c\u039d\u039f\u03a1\u03a4\u03a5\u03a7"  # capital
    "\u0578\u057d\u0585\u0570"  # Armenian
)
"""Letters of other scripts that look like ASCII ones (of Unicode's list of confusables, UTS 39).

A word that has others, too, such as most Russian ones, is legible as what it is.
"""


def _refusal(name: str, *, dunder: bool) -> str | None:
    if not name:
        return "it is empty"
    if not name.isidentifier():
        return "it is not a Python identifier"
    if keyword.iskeyword(name):
        return "it is a Python keyword"
    if not dunder and len(name) > 4 and name.startswith("__") and name.endswith("__"):
        return "names with two underscores at both ends belong to Python"
    return None if name.isascii() else _confusion(name)


def _confusion(name: str) -> str | None:
    folded = unicodedata.normalize("NFKC", name)
    if folded != name:
        return f"Python would read it as {folded!r} (it is not in Unicode's NFKC form)"
    letters = [char for char in name if not _is_neutral(char)]
    latin = [char for char in letters if _is_latin(char)]
    odd = [char for char in latin if not _is_accented_ascii(char)]
    if odd:
        return f"{odd[0]!r} ({unicodedata.name(odd[0])}) may look like an ASCII letter"
    foreign = [char for char in letters if not _is_latin(char)]
    if latin and foreign:
        return (
            f"it mixes Latin letters with {foreign[0]!r} ({unicodedata.name(foreign[0], '?')}), "
            "which may look like one"
        )
    if foreign and all(char in LOOKALIKES for char in foreign):
        return (
            f"all of it looks like ASCII letters, and {foreign[0]!r} is "
            f"{unicodedata.name(foreign[0])}"
        )
    return None


def _is_neutral(char: str) -> bool:
    return char in "_0123456789" or unicodedata.category(char).startswith("M")


def _is_latin(char: str) -> bool:
    return unicodedata.name(char, "").startswith("LATIN ")


def _is_accented_ascii(char: str) -> bool:
    return unicodedata.normalize("NFD", char)[0].isascii()
