"""The adapter for outside suites works with no bridge, and with no package installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

ALONE = """
import asyncio, importlib.util, sys

sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
spec = importlib.util.spec_from_file_location("adapter", sys.argv[1] + "/tests/conformance/adapter.py")
adapter = importlib.util.module_from_spec(spec)
spec.loader.exec_module(adapter)


async def main():
    import asyncbridge

    first, second = adapter.deferred(), adapter.deferred()
    chain = first.promise.then(lambda value: second.promise).then(lambda value: value + 1)
    first.resolve(None)
    first.reject("ignored")
    asyncio.get_running_loop().call_soon(second.resolve, adapter.resolved(1))
    third = adapter.deferred()
    third.reject("third")
    third.resolve("ignored")
    assert type(chain) is type(third.promise) is asyncbridge.Promise
    for rejected in (third.promise, adapter.rejected("fourth"), adapter.rejected(ValueError("fifth"))):
        print(repr(await rejected.then(None, lambda reason: reason)))
    print(await chain)


asyncio.run(main())
foreign = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(foreign - sys.stdlib_module_names - {"adapter", "asyncbridge"}))
"""


def test_the_adapter_needs_the_standard_library_alone() -> None:
    """Isolated from site-packages it settles, chains and rejects, and loads nothing foreign."""
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", ALONE, str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "Reason('third')",
        "Reason('fourth')",
        "ValueError('fifth')",
        "2",
        "",
    ]
