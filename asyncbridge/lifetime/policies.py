"""How long a binding stays in the worker: policies, four of them our own.

A policy says two things. ``terms`` are for the worker, which keeps to them even when this process
is gone. ``begin`` is called here with a ``Hold`` on each new binding: by it a policy decides when
the binding goes, as long as this process lives. The paper's section 6 asks for the first three.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from asyncbridge.protocol.limits import LONGEST_S

if TYPE_CHECKING:
    from asyncbridge.lifetime.holds import Hold

__all__ = [
    "LIFETIMES", "Collected", "Eternal", "Leased", "Lifetime", "LifetimeName", "PerCommand",
    "Policy", "Terms", "policy_of",
]  # fmt: skip

LifetimeName = Literal["eternal", "command", "collected"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What the worker is told of a binding.

    Attributes:
        ends: What ends it there by itself: ``"command"``, the end of the command that it was sent
            with; ``"session"``, the end of the session, 30 s after its process has died;
            ``"lease"``, that ``seconds`` are over; ``"never"``.
        seconds: Of a lease.

    Raises:
        ValueError: The seconds are not more than 0, or more than 31 years, or no lease has them.
    """

    ends: Literal["command", "session", "lease", "never"]
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.ends not in _WIRE:
            known = ", ".join(map(repr, _WIRE))
            raise ValueError(f"ends= is one of {known}, not {self.ends!r:.40}")
        if self.ends == "lease" and not 0 < self.seconds <= LONGEST_S:
            raise ValueError(
                f"a lease is for more than 0 seconds, and for {LONGEST_S:.0f} at most, got "
                f"{self.seconds!r}"
            )

    @property
    def wire(self) -> str:
        """The word for it in a command."""
        return f"leased {self.seconds!r}" if self.ends == "lease" else _WIRE[self.ends]


_WIRE = {"command": "command", "session": "collected", "lease": "leased", "never": "eternal"}


@runtime_checkable
class Policy(Protocol):
    """How long bindings stay; anything with these three is one."""

    @property
    def name(self) -> str:
        """What a binding's repr calls it; ``bindings()`` tells the terms."""
        ...

    @property
    def terms(self) -> Terms:
        """What the worker keeps to."""
        ...

    def begin(self, hold: Hold) -> None:
        """Take a new binding; called by ``put`` and ``send``, in their thread."""
        ...


@dataclass(frozen=True, slots=True)
class Eternal:
    """Stays until it is deleted, by ``bridge.delete`` or by ``del`` in code, also when this is gone."""

    name: str = field(default="eternal", init=False)
    terms: Terms = field(default=Terms(ends="never"), init=False, repr=False)

    def begin(self, hold: Hold) -> None:
        """Leave it to stay."""


@dataclass(frozen=True, slots=True)
class PerCommand:
    """Goes with the command that it was sent with, however that ends."""

    name: str = field(default="command", init=False)
    terms: Terms = field(default=Terms(ends="command"), init=False, repr=False)

    def begin(self, hold: Hold) -> None:
        """Leave it to the worker."""


@dataclass(frozen=True, slots=True)
class Collected:
    """Goes when the object here that stands for it is garbage, or its session ends."""

    name: str = field(default="collected", init=False)
    terms: Terms = field(default=Terms(ends="session"), init=False, repr=False)

    def begin(self, hold: Hold) -> None:
        """Tie it to its handle."""
        hold.tie()


@dataclass(frozen=True, slots=True)
class Leased:
    """Goes after so many seconds, whoever has a handle on it, and whoever is still there.

    Raises:
        TypeError: They are no number.
        ValueError: They are not more than 0.
    """

    seconds: float
    terms: Terms = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if isinstance(self.seconds, bool) or not isinstance(self.seconds, int | float):
            raise TypeError(f"Leased() takes a number of seconds, not {self.seconds!r:.80}")
        object.__setattr__(self, "terms", Terms(ends="lease", seconds=float(self.seconds)))

    @property
    def name(self) -> str:
        """``leased for`` so many seconds."""
        return f"leased for {self.seconds:g} s"

    def begin(self, hold: Hold) -> None:
        """Leave it to the worker."""


Lifetime = LifetimeName | Policy
"""What ``lifetime=`` takes."""

_BY_NAME: dict[str, Policy] = {
    policy.name: policy for policy in (Eternal(), PerCommand(), Collected())
}
LIFETIMES: tuple[str, ...] = tuple(_BY_NAME)


def policy_of(lifetime: object) -> Policy:
    """Return the policy that ``lifetime=`` stands for.

    Raises:
        TypeError: It is neither a name nor a policy.
        ValueError: No policy has this name.
    """
    if type(lifetime) is str:
        known = _BY_NAME.get(lifetime)
        if known is None:
            names = ", ".join(LIFETIMES)
            raise ValueError(
                f"no lifetime is called {lifetime!r}: use one of {names}, or a policy such as "
                "asyncbridge.lifetime.Leased(seconds)"
            )
        return known
    if isinstance(lifetime, type) or not isinstance(lifetime, Policy):
        raise TypeError(
            f"lifetime= takes a name, or a policy with name, terms and begin(hold), not {lifetime!r:.80}"
        )
    if not isinstance(lifetime.terms, Terms):
        raise TypeError(f"{lifetime!r:.80}: its terms are {lifetime.terms!r:.80}, and no Terms")
    return lifetime
