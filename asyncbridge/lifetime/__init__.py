"""How long a binding lives in the worker."""

from __future__ import annotations

from asyncbridge.lifetime.binding import Binding
from asyncbridge.lifetime.finalizers import Finalizers
from asyncbridge.lifetime.policies import LIFETIMES, Lifetime, check_lifetime

__all__ = [  # noqa: RUF022 - grouped by what they are
    # policies
    "LIFETIMES",
    "Lifetime",
    "check_lifetime",
    # what they are applied to
    "Binding",
    "Finalizers",
]
