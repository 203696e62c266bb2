"""How long what is sent to the worker lives there."""

from __future__ import annotations

from asyncbridge.lifetime.finalizers import Finalizers
from asyncbridge.lifetime.holds import Hold
from asyncbridge.lifetime.policies import (
    LIFETIMES,
    Collected,
    Eternal,
    Leased,
    Lifetime,
    PerCommand,
    Policy,
    Terms,
    policy_of,
)

__all__ = [  # noqa: RUF022 - grouped by what they are
    # policies
    "Collected",
    "Eternal",
    "Leased",
    "PerCommand",
    # what makes one
    "Hold",
    "Policy",
    "Terms",
    # what ``lifetime=`` takes
    "LIFETIMES",
    "Lifetime",
    "policy_of",
    # how they are kept to
    "Finalizers",
]
