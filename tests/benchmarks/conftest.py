"""The benchmarks stand at the repository's root, which nothing else here needs on the path."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
