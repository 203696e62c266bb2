"""An IPython kernel with the async client: code by ``execute``, data by a comm with buffers."""

# pyright: reportMissingImports=false
# The peers are in an environment of their own.

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from jupyter_client.ioloop import AsyncIOLoopKernelManager

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from numpy.typing import NDArray

ECHO = """
import numpy, time
from comm import get_comm_manager
def opened(comm, message):
    def echo(message):
        array = [numpy.frombuffer(part) for part in message["buffers"]]
        comm.send(message["content"]["data"], buffers=[part.data for part in array])
    comm.on_msg(echo)
get_comm_manager().register_target("echo", opened)
"""


class Bridge:
    """One kernel, restarted when it dies, and one client."""

    async def open(self) -> None:
        """Start the kernel, open the comm."""
        self.manager: Any = AsyncIOLoopKernelManager()
        self.died = asyncio.Event()
        await self.manager.start_kernel()
        self.manager.add_restart_callback(self.died.set)
        self.client: Any = self.manager.client()
        self.client.start_channels()
        await self.client.wait_for_ready(timeout=60)
        await self.run(ECHO)
        self.post("comm_open", {"target_name": "echo"})
        await self.trip()

    async def close(self) -> None:
        """End both."""
        self.client.stop_channels()
        await self.manager.shutdown_kernel(now=True)

    async def pid(self) -> int:
        """Ask the kernel."""
        return int(await self.run("", "__import__('os').getpid()"))

    async def run(self, code: str, expression: str = "None") -> str:
        """Execute code; return the text of an expression, which comes with the reply."""
        reply = await self.client.execute(
            code, store_history=False, user_expressions={"v": expression}, reply=True, timeout=60
        )
        if reply["content"]["status"] != "ok":
            raise RuntimeError(f"{reply['content']['ename']}: {reply['content']['evalue']}")
        return str(reply["content"]["user_expressions"]["v"]["data"]["text/plain"])

    def post(self, kind: str, content: dict[str, object], *buffers: memoryview) -> None:
        """Send a message of the comm."""
        session, channel = self.client.session, self.client.shell_channel
        message = session.msg(kind, {"comm_id": "echo", "data": {}, **content})
        session.send(channel.socket, message, buffers=list(buffers))

    async def echoed(self) -> Any:
        """Wait for the comm's next message."""
        while True:
            message = await self.client.get_iopub_msg(timeout=60)
            if message["msg_type"] == "comm_msg":
                return message

    async def trip(self) -> None:
        """Execute an expression."""
        await self.run("", "1+1")

    async def pipelined(self, count: int) -> None:
        """Execute many, then read the replies."""
        sent = {
            self.client.execute("", store_history=False, user_expressions={"v": "1+1"})
            for _ in range(count)
        }
        while sent:
            reply = await self.client.get_shell_msg(timeout=60)
            sent.discard(reply["parent_header"]["msg_id"])

    async def array(self, array: NDArray[np.float64]) -> NDArray[np.float64]:
        """Send its bytes as a buffer."""
        self.post("comm_msg", {}, array.data.cast("B"))
        message = await self.echoed()
        return np.frombuffer(message["buffers"][0])

    async def value(self, value: object) -> object:
        """Send it as a message's data, which is JSON."""
        self.post("comm_msg", {"data": {"value": value}})
        return (await self.echoed())["content"]["data"]["value"]

    async def reports(self, count: int) -> list[float]:
        """Print; the client reads the kernel's output."""
        code = (
            f"for _ in range({count}):\n    time.sleep(0.002)\n    print(time.time(), flush=True)"
        )
        seconds: list[float] = []

        def arrived(message: Any) -> None:
            if message["msg_type"] == "stream":
                now = time.time()
                seconds.extend(now - float(tick) for tick in message["content"]["text"].split())

        await self.client.execute_interactive(code, output_hook=arrived, timeout=60)
        return seconds

    async def hang(self, path: str, *, to_cancel: bool) -> Awaitable[Any]:
        """Execute it; its end is the reply, or the news that the kernel has died."""
        code = f"from benchmarks.peers import work\nwork.hang({path!r})"
        reply = asyncio.ensure_future(self.run(code))
        died = asyncio.ensure_future(self.died.wait())
        return asyncio.ensure_future(self.first(reply, died))

    async def first(self, reply: asyncio.Future[str], died: asyncio.Future[Any]) -> None:
        """Wait for either."""
        await asyncio.wait([reply, died], return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():
            reply.cancel()
            raise ConnectionError("the callback of the restarter; the reply never comes")
        died.cancel()
        await reply

    async def cancel(self, hanging: Awaitable[Any]) -> None:
        """Interrupt the kernel."""
        await self.manager.interrupt_kernel()
