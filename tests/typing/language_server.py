"""A client of pyright's language server: what an editor asks, over the server's pipes."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from tests.limits import HANG_S

if TYPE_CHECKING:
    from types import TracebackType


# With "diagnostic" the client asks for the errors of a document: its answer is about that text,
# while what the server publishes of itself may be about an earlier one.
CAPABILITIES = {
    "workspace": {"configuration": True, "workspaceFolders": True},
    "textDocument": {
        "completion": {"completionItem": {}},
        "diagnostic": {},
        "signatureHelp": {"signatureInformation": {"parameterInformation": {}}},
    },
}


class LanguageServer:
    """Pyright's server for one folder, as an editor runs it; a context manager.

    Args:
        folder: The folder that the editor has open, with the project's settings, if any.
        python: The interpreter whose packages the settings leave to the editor to name.
    """

    def __init__(self, folder: Path, python: Path) -> None:
        self._folder = folder
        self._python = python
        self._received = b""
        self._last_id = 0
        self._process = subprocess.Popen(
            [sys.executable, "-m", "pyright.langserver", "--stdio"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # so that Node goes with it when it must be killed
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin: IO[bytes] = self._process.stdin
        self._stdout: IO[bytes] = self._process.stdout

    def __enter__(self) -> Self:
        root = self._folder.as_uri()
        try:
            self.request(
                "initialize",
                processId=os.getpid(),
                rootUri=root,
                capabilities=CAPABILITIES,
                workspaceFolders=[{"uri": root, "name": self._folder.name}],
            )
            self._notify("initialized")
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is None:
                self.request("shutdown")
                self._notify("exit")
                self._process.wait(HANG_S)
        finally:
            self._end()
        if error is None:
            assert self._process.returncode == 0

    def open(self, name: str, text: str) -> str:
        """Open a document of this name and text, which need not be on the disk; return its URI."""
        uri = (self._folder / name).as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": text}
        self._notify("textDocument/didOpen", textDocument=document)
        return uri

    def close(self, uri: str) -> None:
        """Close a document that is open."""
        self._notify("textDocument/didClose", textDocument={"uri": uri})

    def request(self, method: str, **params: object) -> Any:
        """Ask, and return the result; what the server asks meanwhile is answered.

        Raises:
            RuntimeError: The server answered with an error.
            TimeoutError: It did not answer in time.
        """
        self._last_id += 1
        self._write({"id": self._last_id, "method": method, "params": params})
        deadline = time.monotonic() + HANG_S
        while True:
            message = self._read(method, deadline)
            if "method" in message:
                self._serve(message)
            elif message["id"] == self._last_id:
                if "error" in message:
                    raise RuntimeError(f"{method}: {message['error']}")
                return message["result"]

    def _serve(self, message: dict[str, Any]) -> None:
        """Answer a request of the server's; what it only tells is nothing to this client."""
        if "id" not in message:
            return
        result: object = None
        if message["method"] == "workspace/configuration":
            settings = {"python": {"pythonPath": str(self._python)}}
            result = [settings.get(item["section"]) for item in message["params"]["items"]]
        self._write({"id": message["id"], "result": result})

    def _notify(self, method: str, **params: object) -> None:
        self._write({"method": method, "params": params})

    def _write(self, message: dict[str, object]) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self._stdin.flush()

    def _read(self, awaited: str, deadline: float) -> dict[str, Any]:
        """Return the server's next message."""
        while True:
            header, found, rest = self._received.partition(b"\r\n\r\n")
            if found:
                length = int(header.partition(b"Content-Length:")[2].split()[0])
                if len(rest) >= length:
                    self._received = rest[length:]
                    message: dict[str, Any] = json.loads(rest[:length])
                    return message
            self._received += self._more(awaited, deadline)

    def _more(self, awaited: str, deadline: float) -> bytes:
        """Return what the server has written, as soon as there is any."""
        left = max(0.0, deadline - time.monotonic())
        if not select.select([self._stdout], [], [], left)[0]:
            raise TimeoutError(f"no answer to {awaited} within {HANG_S:g} s")
        piece = os.read(self._stdout.fileno(), 1 << 20)
        if not piece:
            raise EOFError(f"the language server ended before its answer to {awaited}")
        return piece

    def _end(self) -> None:
        """Close the pipes, and kill the process and Node with it if it has not ended."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        self._stdout.close()
        self._process.wait(HANG_S)
