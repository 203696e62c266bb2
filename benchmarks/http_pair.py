"""Commands a second over the HTTP pair, one promise each, beside the WebSocket in the same run.

The bridge's own way, ``connect(transport="http")``, and that of any other client: lists of commands
posted to ``/v1/commands``, and outcomes posted back as lists. The processor time of both sides is told
beside the time that passes, which on a machine with other work is mostly that of waiting for a turn.
"""

from __future__ import annotations

from benchmarks.measure import Figure, run_python

COUNT = 10_000
BAR = 5_000
PIPELINED = """
import asyncio, collections, json, sys, time
import asyncbridge
count, repetitions = int(sys.argv[1]), int(sys.argv[2])
async def work(bridge):
    return time.process_time() + await bridge.send("__import__('time').process_time()")
async def rate(bridge):
    before = await work(bridge)
    start = time.perf_counter()
    await asyncio.gather(*[bridge.send("1 + 1") for _ in range(count)])
    passed = time.perf_counter() - start
    costs[bridge].append((await work(bridge) - before) / count)
    return count / passed
costs = collections.defaultdict(list)
async def main():
    rates = {"http": [], "websocket": []}
    async with asyncbridge.connect(backend=None, transport="http") as http, \\
               asyncbridge.connect(backend=None, transport="websocket") as websocket:
        await rate(http), await rate(websocket)
        for _ in range(repetitions):
            rates["http"].append(await rate(http))
            rates["websocket"].append(await rate(websocket))
        rates["http_costs"] = costs[http][1:]
    print(json.dumps(rates))
asyncio.run(main())
"""
POSTED = """
import asyncio, io, json, subprocess, sys, tempfile, time
import aiohttp
from aiohttp import web
count, repetitions = int(sys.argv[1]), int(sys.argv[2])
async def main(folder, token):
    rates, costs, seen, all_seen = [], [], 0, asyncio.Event()
    async def take(request):
        nonlocal seen
        seen += len(json.loads(await request.read()))
        if seen == count:
            all_seen.set()
        return web.Response(status=204)
    app = web.Application(client_max_size=2**26)
    app.add_routes([web.post("/", take)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    callback = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    headers = {"Authorization": f"Bearer {token}"}
    more = {"callback": callback, "callback_batch": True}
    connector = aiohttp.UnixConnector(f"{folder}/w/worker.sock")
    async with aiohttp.ClientSession(connector=connector, headers=headers) as http:
        async def work():
            body = {"code": "__import__('time').process_time()"}
            async with http.post("http://asyncbridge/v1/commands", json=body) as answer:
                where = answer.headers["Location"]
            async with http.get(f"http://asyncbridge{where}?wait=30") as answer:
                return time.process_time() + (await answer.json())["value"]
        for repetition in range(repetitions + 1):
            seen = 0
            all_seen.clear()
            before = await work()
            start = time.perf_counter()
            for begin in range(0, count, 1000):
                body = [{"id": f"{repetition}-{begin + n}", "code": "1 + 1", **more} for n in range(1000)]
                data = io.BytesIO(json.dumps(body).encode())
                async with http.post("http://asyncbridge/v1/commands", data=data) as answer:
                    assert answer.status == 202, await answer.text()
                    await answer.read()
            await all_seen.wait()
            rates.append(count / (time.perf_counter() - start))
            costs.append((await work() - before) / count)
    await runner.cleanup()
    print(json.dumps({"rates": rates[1:], "costs": costs[1:]}))
with tempfile.TemporaryDirectory() as folder:
    worker = subprocess.Popen(
        [sys.executable, "-m", "asyncbridge.worker", "--backend", "none", "--folder", f"{folder}/w"],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )
    worker.stderr.readline()
    try:
        asyncio.run(main(folder, open(f"{folder}/w/token").read().strip()))
    finally:
        worker.terminate()
        worker.wait()
"""


def measure(quick: bool) -> list[Figure]:
    """Measure 10,000 commands at once; the bar is the time of 5,000 in a second."""
    repetitions = "3" if quick else "10"
    rates = run_python(PIPELINED, str(COUNT), repetitions)
    posted = run_python(POSTED, str(COUNT), repetitions)
    return [
        time_of("pipelined by the bridge over HTTP", rates["http"]),
        cost_of("pipelined by the bridge over HTTP", rates["http_costs"]),
        time_of("posted as lists, outcomes by callback", posted["rates"]),
        cost_of("posted as lists, outcomes by callback", posted["costs"]),
        Figure(
            name="time over HTTP / over the WebSocket",
            unit="",
            values=tuple(b / a for a, b in zip(rates["http"], rates["websocket"], strict=True)),
        ),
    ]


def time_of(name: str, rates: list[float]) -> Figure:
    """Return a rate as the time of one command, whose bar is a most."""
    values = tuple(1e6 / rate for rate in rates)
    return Figure(name=name, unit="us per command", values=values, bar=1e6 / BAR, by_range=True)


def cost_of(name: str, seconds: list[float]) -> Figure:
    """Return the processor time of one command, which holds the bar whatever else runs."""
    values = tuple(each * 1e6 for each in seconds)
    name = f"{name}: processor time, both sides"
    return Figure(name=name, unit="us per command", values=values, bar=1e6 / BAR, by_range=True)


if __name__ == "__main__":
    for figure in measure(quick=False):
        print(figure)
