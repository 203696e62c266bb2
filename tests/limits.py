"""The one limit of what waits in a test."""

from __future__ import annotations

HANG_S = 240.0
"""What takes longer hangs: no measure of speed, since a shared machine may be ten times slower.

Below pytest's own limit, so that what is said is what was waited for.
"""
