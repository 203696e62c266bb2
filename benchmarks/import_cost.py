"""What ``import asyncbridge`` costs an app: time and resident memory."""

from __future__ import annotations

from benchmarks.measure import Figure, run_python

PROGRAM = """
import json, resource, sys, time
start = time.perf_counter()
exec(sys.argv[1])
seconds = time.perf_counter() - start
rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps([seconds * 1000, rss]))
"""
SUBJECTS = {
    "import asyncbridge": ("import asyncbridge", 150.0, 45.0),
    "connect named, too": ("import asyncbridge; asyncbridge.connect", None, None),
    "import asyncbridge.models": (
        "from asyncbridge import models as keras; keras.layers",
        250.0,
        None,
    ),
    "import keras": ("import keras", None, None),
}


def measure(quick: bool) -> list[Figure]:
    """Import in fresh interpreters; the first one, which fills the caches, does not count."""
    figures = []
    for name, (code, milliseconds, megabytes) in SUBJECTS.items():
        slow = name == "import keras"
        repetitions = 3 if quick or slow else 15
        runs = [run_python(PROGRAM, code) for _ in range(repetitions + 1)][1:]
        figures += [
            Figure(name=f"{name}, time", unit="ms", values=tuple(r[0] for r in runs), bar=milliseconds),
            Figure(name=f"{name}, peak memory", unit="MiB", values=tuple(r[1] for r in runs), bar=megabytes),
        ]  # fmt: skip
    return figures
