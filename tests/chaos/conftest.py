from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.chaos.ledger import MEMORY

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def folder(no_leaks: None) -> Iterator[Path]:
    """Return a folder with a short path, for sockets; nothing may be left behind."""
    with tempfile.TemporaryDirectory(prefix="ab-", dir=MEMORY) as name:
        yield Path(name)
