"""Run one seed's campaign again: ``python -m tests.chaos.replay SEED``, in the repository's root."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from asyncbridge.transport.loops import new_event_loop
from tests.chaos.campaign import Broken, Campaign
from tests.chaos.ledger import MEMORY
from tests.chaos.net import Net
from tests.chaos.plan import draw
from tests.chaos.workers import TcpWorker

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line says; return 1 if the bridge has broken its word."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.replay", description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--faults", type=int, default=40)
    parser.add_argument("--batch", type=int, default=100, help="commands that go with each fault")
    parser.add_argument("--only", type=int, help="the number of the one step to do")
    parser.add_argument("--tcp", action="store_true", help="with a worker that listens on TCP")
    parser.add_argument("--times", type=int, default=1, help="how often")
    parser.add_argument("--list", action="store_true", help="tell the steps, and do nothing")
    given = parser.parse_args(arguments)
    if given.list:
        for step in draw(given.seed, given.faults, batch=given.batch, kills=not given.tcp):
            sys.stdout.write(f"{step}\n")
        return 0
    return max(run(given) for _ in range(given.times))


def run(given: argparse.Namespace) -> int:
    """Run a campaign, and tell its account."""
    with tempfile.TemporaryDirectory(prefix="ab-", dir=MEMORY) as name, ExitStack() as stack:
        folder = Path(name)
        net, how = None, None
        if given.tcp:
            worker = stack.enter_context(TcpWorker(folder / "w"))
            net = Net(worker.front, worker.back)
            how = {"url": worker.url, "token": worker.token}
        campaign = Campaign(
            given.seed, faults=given.faults, batch=given.batch, folder=folder, only=given.only,
            net=net, options=how,
        )  # fmt: skip
        try:
            with asyncio.Runner(loop_factory=new_event_loop) as runner:
                account = runner.run(campaign.run())
        except Broken as error:
            sys.stderr.write(f"{error}\n")
            return 1
    sys.stdout.write(f"{account}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
