"""Forms of packages that may not be installed: loaded when a value of theirs is met.

A package is imported to *read* a value only if this table names it; to write one it has been
imported already, by whoever made the value.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final

from asyncbridge.errors import DecodeError
from asyncbridge.serialization import registry
from asyncbridge.serialization.dtypes import MACHINE_LEARNING

_ADAPTERS: Final = {
    "pandas": ("asyncbridge.serialization.dataframes", "pandas"),
    "pyarrow": ("asyncbridge.serialization.arrow", "arrow"),
    "scipy": ("asyncbridge.serialization.sparse", "sparse"),
}
"""By package: the module that registers its types, and the extra that installs it."""
PACKAGES: Final = frozenset(_ADAPTERS)
_NEEDED: Final = {
    "sparse": "scipy",
    **dict.fromkeys(("arrow-table", "arrow-batch"), "pyarrow"),
    **dict.fromkeys(
        ("frame", "series", "index", "range-index", "multi-index", "pd.NA", "pd.NaT"), "pandas"
    ),
}
"""The package that a tag needs."""


_ADVICE: Final = {
    "lil_matrix": "send value.tocsr()",
    "lil_array": "send value.tocsr()",
    "dok_matrix": "send value.tocoo()",
    "dok_array": "send value.tocoo()",
    "Timestamp": "send value.to_pydatetime(), or value.asm8",
    "Timedelta": "send value.to_pytimedelta(), or value.asm8",
}


def advice(kind: type) -> str | None:
    """Return what to send instead of one of a package's objects that have no form."""
    if kind.__module__.partition(".")[0] not in PACKAGES:
        return None
    return _ADVICE.get(kind.__name__)


def load_for(kind: type) -> bool:
    """Tell whether a type is one of a package's whose forms are known, once they are loaded."""
    package = kind.__module__.partition(".")[0]
    if package not in _ADAPTERS or package not in sys.modules:
        return False
    _load(package)
    return kind in registry.BY_TYPE


def is_package_tag(tag: object) -> bool:
    """Tell whether a tag needs one of the packages."""
    return type(tag) is str and tag in _NEEDED


def load_tag(tag: object) -> bool:
    """Load the package that a tag needs; tell whether there is one.

    Raises:
        DecodeError: It is not installed.
    """
    package = _NEEDED.get(tag) if type(tag) is str else None
    if package is None:
        return False
    try:
        _load(package)
    except ImportError:
        extra = _ADAPTERS[package][1]
        raise DecodeError(
            f"a value of {package} came, which is not installed here: "
            f"{sys.executable} -m pip install 'asyncbridge-keras[{extra}]'"
        ) from None
    return True


def is_scalar(kind: type) -> bool:
    """Tell whether a type is that of ml_dtypes' scalars which have a wire form."""
    module = sys.modules.get("ml_dtypes")
    name = kind.__name__
    return module is not None and name in MACHINE_LEARNING and getattr(module, name, None) is kind


def _load(package: str) -> None:
    for entry in import_module(_ADAPTERS[package][0]).ENTRIES:
        registry.add_own(entry)
