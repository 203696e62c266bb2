"""Releases on their way to the worker: each goes behind the commands that may still use it."""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from asyncbridge.protocol.keeping import Release

__all__ = ["Releases"]


class Releases:
    """Those of one session, in their order."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[int, Release]] = deque()

    def add(self, newest: int, release: Release) -> None:
        """Add one, behind the newest command."""
        self._waiting.append((newest, release))

    def keep(self, names: Iterable[str]) -> None:
        """Take names out that stand for something else from now on."""
        if not self._waiting:
            return
        kept = set(names)
        self._waiting = deque(
            (newest, replace(each, names=tuple(name for name in each.names if name not in kept)))
            for newest, each in self._waiting
        )

    def due(self, waiting: int) -> list[Release]:
        """Take out those whose commands have all left.

        Args:
            waiting: The lowest id that has not.
        """
        found: list[Release] = []
        while self._waiting and self._waiting[0][0] < waiting:
            release = self._waiting.popleft()[1]
            if release.names or release.objects or release.commands:
                found.append(release)
        return found
