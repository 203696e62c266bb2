"""Errors that halt: section 4.6 of the bridge paper, in Python.

Work is sent in steps, and one of them fails. The steps behind it need its result, so they are not
to run without it: the bridge's commands halt there, and somebody decides. First that is a handler,
a program that knows its errors. Then it is a person, in whose place this script looks at what has
failed, edits it, and runs it again: nothing before it is done twice.

    python examples/decisions.py
"""

from __future__ import annotations

import asyncio

import asyncbridge
from asyncbridge import Decision, DropQueue, Ignore, Replace, Retry

MEAN = "mean = sum(rows) / len(rows); mean"
SPREAD = "spread = max(rows) - min(rows); spread"
SCALE = "[(row - mean) / spread for row in rows]"


async def by_a_handler() -> None:
    """Scale three tables, two of which are out of the ordinary."""
    async with asyncbridge.connect(backend=None) as bridge:

        @bridge.on_error
        def decide(error: asyncbridge.RemoteError) -> Decision | None:
            print(f"  halted at {bridge.halted[0].command!r}: {error.type}")
            match bridge.halted[0].command, error.type:
                case "scale", "ZeroDivisionError":  # all rows are alike
                    return Replace("[0.0] * count", {"count": 3})
                case "mean", "ZeroDivisionError":  # no rows: nothing to be done with them
                    return DropQueue()
                case _:
                    return None  # the error stands

        for rows in [1, 2, 3], [5, 5, 5], []:
            steps = [
                bridge.send(MEAN, {"rows": rows}, name="mean"),
                bridge.send(SPREAD, {"rows": rows}, name="spread"),
                bridge.send(SCALE, {"rows": rows}, name="scale"),
            ]
            values = await asyncio.gather(*steps, return_exceptions=True)
            print(f"{rows}:", *(shown(value) for value in values))


async def by_hand() -> None:
    """Repair one step, twice, and leave another out."""
    async with asyncbridge.connect(backend=None, halt_on_error=True) as bridge:
        await bridge.send("mean, spread = 4, 2")
        scaled = bridge.send("[(row - mean) / spread for row in lines]", {"rows": ["2", "6"]})
        looked_up = bridge.send("settings['unit']")

        # A wrong name: the code is edited. Then a mistake in the data: so are they.
        for edited in Retry(code=SCALE), Retry(bindings={"rows": [2, 6]}):
            halt = await next_halt(bridge)
            assert isinstance(halt.error, asyncbridge.RemoteError)
            print(f"  attempt {halt.epoch} failed: {halt.error.type}: {halt.error.message}")
            await bridge.decide(halt, edited)
        print("scaled:", await scaled)

        await bridge.decide(await next_halt(bridge), Ignore("metres"))
        print("unit:", await looked_up)


async def next_halt(bridge: asyncbridge.Bridge) -> asyncbridge.Halt:
    """Wait until a command is halted."""
    while not bridge.halted:
        await bridge.info()
    return bridge.halted[0]


def shown(value: object) -> str:
    """Return a value, or what there is in its place."""
    return (
        getattr(value, "type", type(value).__name__) if isinstance(value, Exception) else str(value)
    )


async def main() -> None:
    """Run both."""
    await by_a_handler()
    await by_hand()


if __name__ == "__main__":
    asyncio.run(main())
