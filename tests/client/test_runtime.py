from __future__ import annotations

import subprocess
import sys

from asyncbridge.client import runtime
from tests.limits import HANG_S


def test_it_has_all_that_a_bridge_takes_from_it() -> None:
    """And nothing that is not there."""
    assert sorted(runtime.__all__) == [
        "Awaiting", "Handing", "Held", "Pending", "References", "Session", "call",
        "check_identifier", "command_behind", "dependencies", "lost_to", "needs_of", "open_arena",
        "origin", "passing_on", "random_name", "render", "ship", "write_bindings",
        "write_decision",
    ]  # fmt: skip
    for name in runtime.__all__:
        assert callable(getattr(runtime, name))


def test_importing_the_client_does_not_import_it() -> None:
    """It brings numpy and orjson along, which are loaded off the loop."""
    code = (
        "import sys, asyncbridge.client\n"
        "assert 'asyncbridge.client.runtime' not in sys.modules\n"
        "assert 'numpy' not in sys.modules and 'aiohttp' not in sys.modules\n"
        "import asyncbridge.client.runtime\n"
        "assert 'keras' not in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=HANG_S)
