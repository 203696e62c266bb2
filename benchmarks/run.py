"""Run the benchmarks: ``make bench``, or ``python benchmarks/run.py [--quick] [NAME ...]``.

Each figure stands beside a floor or a peer measured in the same run: this is about ratios, for
machines are noisy. The bar of a ratio is missed when the whole interquartile range lies above it,
every other bar when any value does.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import (
    bulk,
    codec,
    http_pair,
    import_cost,
    killing,
    large_values,
    loop_lag,
    memory,
    pipelining,
    predicting,
    progress,
    promise,
    recycling,
    references,
    remote,
    round_trip,
    start_up,
    streaming,
    training,
    web_app,
)
from benchmarks.peers import run as peers

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Figure

BENCHMARKS: dict[str, Callable[[bool], list[Figure]]] = {
    "import": import_cost.measure,
    "start-up": start_up.measure,
    "loop-lag": loop_lag.measure,
    "training": training.measure,
    "predicting": predicting.measure,
    "progress": progress.measure,
    "round-trip": round_trip.measure,
    "promise": promise.measure,
    "codec": codec.measure,
    "large-values": large_values.measure,
    "killing": killing.measure,
    "bulk": bulk.measure,
    "memory": memory.measure,
    "references": references.measure,
    "pipelining": pipelining.measure,
    "recycling": recycling.measure,
    "remote": remote.measure,
    "http-pair": http_pair.measure,
    "streaming": streaming.measure,
    "web-app": web_app.measure,
    "peers": peers.measure,
}


def main() -> int:
    """Run what was asked for; return 1 when a bar was missed."""
    parser = argparse.ArgumentParser(description="Run the benchmarks.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer repetitions")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    given = parser.parse_args()
    unknown = set(given.names) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    figures: list[Figure] = []
    print(f"Python {platform.python_version()}, {platform.platform()}", flush=True)
    for name in given.names or BENCHMARKS:
        print(f"\n{name}", flush=True)
        for figure in BENCHMARKS[name](given.quick):
            print(f"  {figure}", flush=True)
            figures.append(figure)
    if given.json is not None:
        given.json.write_text(json.dumps([figure.as_dict() for figure in figures], indent=2))
    missed = [figure for figure in figures if not figure.held]
    for figure in missed:
        print(f"\nmissed: {figure}")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
