"""What it costs to watch a training: fits of one model in one worker, with and without reports."""

from __future__ import annotations

from benchmarks.measure import Figure, ratio, run_python

PROGRAM = """
import asyncio, json, sys, time
sys.path.insert(0, "examples")
import asyncbridge, iris
from asyncbridge import models as keras
from asyncbridge.tasks import spawn

PAIRS, EPOCHS = int(sys.argv[1]), int(sys.argv[2])
x, y, _, _ = iris.load()

async def read(training):
    return [event async for event in training.progress()]

async def watched(model):
    training = model.fit(x, y, batch_size=1, epochs=EPOCHS, verbose=0)
    reader = spawn(read(training), name="reader")
    await training
    return len(await reader)

async def main():
    async with asyncbridge.connect() as bridge:
        keras.utils.set_random_seed(7)
        model = iris.build()
        await model
        plain = f"{model.binding}.fit(x, y, batch_size=1, epochs={EPOCHS}, verbose=0)\\nNone"
        await watched(model)
        pairs, events = [], 0
        for index in range(PAIRS):
            seconds = {}
            for way in ("on", "off") if index % 2 else ("off", "on"):
                start = time.perf_counter()
                if way == "on":
                    events = await watched(model)
                else:
                    await bridge.send(plain, {"x": x, "y": y})
                seconds[way] = time.perf_counter() - start
            pairs.append([seconds["on"], seconds["off"]])
        print(json.dumps([pairs, events]))
asyncio.run(main())
"""


def measure(quick: bool) -> list[Figure]:
    """Alternate fits of iris with batch size 1, the shortest steps there are."""
    pairs, epochs = (5, 4) if quick else (30, 8)
    times, events = run_python(PROGRAM, str(pairs), str(epochs))
    on, off = zip(*times, strict=True)
    return [
        Figure(name=f"fit of iris, {epochs} epochs, unwatched", unit="s", values=tuple(off)),
        Figure(name="events of one fit", unit="", values=(float(events),)),
        ratio("fit of iris, watched / unwatched", on, off, bar=1.03),
    ]
