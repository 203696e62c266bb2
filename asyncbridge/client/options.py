"""What ``connect`` takes: arguments first, then ``ASYNCBRIDGE_*`` variables, then defaults."""

from __future__ import annotations

import os
import re
import shlex
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from asyncbridge.client.checks import check_flag, check_flags, check_timeout
from asyncbridge.client.recycle import Recycle
from asyncbridge.client.restarts import Restart, restart_of
from asyncbridge.errors import AuthenticationError, ConnectError, SocketPermissionError
from asyncbridge.protocol.limits import DEFAULT_BACKLOG, DEFAULT_IN_FLIGHT, Bound, TransferLimits
from asyncbridge.transport.leases import LIMIT_VARIABLE
from asyncbridge.transport.sizes import (
    CACHE_VARIABLE,
    IN_FLIGHT_VARIABLE,
    LARGEST_VARIABLE,
    bytes_of_environment,
    memory_of_machine,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["AUTO", "Auto", "Options", "Transport", "check_socket", "read_token", "resolve"]

Transport = Literal["websocket", "http"]

TOKEN_FILE = "token"  # noqa: S105 - a file's name
"""The file beside a worker's socket that holds its token."""
SESSION_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
HALT_SECONDS: Final = 300.0


class Auto:
    """The type of ``AUTO``: take the environment's word, else the default."""

    def __repr__(self) -> str:
        return "AUTO"


AUTO: Final = Auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Everything a bridge needs to know before it connects; times are in seconds.

    Attributes:
        url: A worker to attach to, None to start one.
        token: Its secret.
        backend: Keras's backend in a worker that is started, None for one without Keras.
        python: The interpreter of a worker that is started.
        env: Variables for its environment; None takes one out.
        connect_timeout: From the start to the worker's welcome.
        close_timeout: For what is unfinished when the bridge closes.
        backlog: How much may wait in the client beyond the worker's window.
        shared_memory: Bytes that each side may take for large arrays, 0 for none; None leaves it
            to the variable, or the machine.
        writable: Whether large arrays that come back may be written.
        cache: Bytes of streamed arrays that a worker that is started keeps, 0 for none; None
            leaves it to the variable, or the machine.
        largest_value: Bytes of the largest value, either way; None for the machine's memory.
        in_flight: Bytes of large arrays that may be on the way at once, in each direction.
        one_hot: Whether large one-hot matrices are sent as the columns of their ones.
        copy: Whether large arrays are copied by the call that sends them.
        restart: What becomes of the bridge when a worker that was started for it ends.
        locals: Whether errors tell the variables of their frames.
        session: The name of the session in a worker that is attached to; empty for none.
        halt_on_error: Whether commands halt at one that fails, without a handler, too.
        halt_timeout: How long a halt lasts at most.
        transport: What carries the messages.
        recycle: When a worker that was started is replaced; None for never.
        debug: Whether it is told who keeps the values of bindings alive after their commands.
    """

    url: str | None = None
    token: str | None = field(default=None, repr=False)
    backend: str | None = "tensorflow"
    python: str = sys.executable
    env: Mapping[str, str | None] = field(default_factory=dict)
    connect_timeout: float = 60.0
    close_timeout: float = 30.0
    backlog: Bound = DEFAULT_BACKLOG
    shared_memory: int | None = None
    writable: bool = False
    cache: int | None = None
    largest_value: int | None = None
    in_flight: int = DEFAULT_IN_FLIGHT

    @property
    def limits(self) -> TransferLimits:
        """How much the bridge moves."""
        largest = self.largest_value
        return TransferLimits(
            in_flight=self.in_flight, largest=memory_of_machine() if largest is None else largest
        )

    one_hot: bool = True
    copy: bool = False
    restart: Restart = field(default_factory=Restart)
    locals: bool = False
    session: str = ""
    halt_on_error: bool = False
    halt_timeout: float = HALT_SECONDS
    transport: Transport = "websocket"
    debug: bool = False
    recycle: Recycle | None = None


def resolve(
    url: str | None,
    *,
    token: str | None,
    backend: str | Auto | None,
    python: str | None,
    env: Mapping[str, str | None] | None,
    connect_timeout: float | None,
    close_timeout: float | None,
    backlog: Bound | tuple[int, int] | None,
    shared_memory: int | None = None,
    writable: bool = False,
    cache: int | None = None,
    largest_value: int | None = None,
    in_flight: int | None = None,
    one_hot: bool = True,
    copy: bool = False,
    restart: object = "on-failure",
    locals: bool = False,  # noqa: A002 - as ``connect`` has it
    session: str | None = None,
    halt_on_error: bool = False,
    halt_timeout: float | None = None,
    transport: str | None = None,
    debug: bool | None = None,
    recycle: Recycle | None = None,
) -> Options:
    """Fill in what was not given.

    Raises:
        TypeError: A size or a time that is no number, or a choice that is neither True nor False.
        ValueError: A variable that is no number where one is needed, a negative size, or a
            transport that there is not.
    """
    check_bytes("shared_memory", shared_memory, least=0)
    check_bytes("cache", cache, least=0)
    check_bytes("largest_value", largest_value, least=1)
    check_bytes("in_flight", in_flight, least=1)
    check_flag("writable", writable)
    check_flag("one_hot", one_hot)
    check_flag("copy", copy)
    check_flag("locals", locals)
    check_flag("halt_on_error", halt_on_error)
    check_flags(debug=debug)
    check_recycle(recycle, url or os.environ.get("ASYNCBRIDGE_URL"))
    environ = os.environ
    url = url or environ.get("ASYNCBRIDGE_URL") or None
    if isinstance(backend, Auto):
        name = environ.get("ASYNCBRIDGE_BACKEND") or environ.get("KERAS_BACKEND") or "tensorflow"
        backend = None if name == "none" else name
    return Options(
        url=url,
        token=token or (read_token_file() if url is not None else None),
        backend=backend,
        python=python or environ.get("ASYNCBRIDGE_PYTHON") or sys.executable,
        env=dict(env or {}),
        connect_timeout=seconds(connect_timeout, "ASYNCBRIDGE_CONNECT_TIMEOUT", 60.0),
        close_timeout=seconds(close_timeout, "ASYNCBRIDGE_CLOSE_TIMEOUT", 30.0),
        backlog=bound_of(backlog),
        shared_memory=bytes_of_environment(LIMIT_VARIABLE)
        if shared_memory is None
        else shared_memory,
        writable=writable,
        cache=bytes_of_environment(CACHE_VARIABLE) if cache is None else cache,
        largest_value=largest_value or bytes_of_environment(LARGEST_VARIABLE),
        in_flight=in_flight or bytes_of_environment(IN_FLIGHT_VARIABLE) or DEFAULT_IN_FLIGHT,
        one_hot=one_hot,
        copy=copy,
        restart=restart_of(restart),
        locals=locals,
        session=session_of(session, url),
        halt_on_error=halt_on_error,
        halt_timeout=seconds(halt_timeout, "ASYNCBRIDGE_HALT_TIMEOUT", HALT_SECONDS),
        transport=transport_of(transport),
        debug=environ.get("ASYNCBRIDGE_DEBUG", "") not in ("", "0") if debug is None else debug,
        recycle=recycle,
    )


def check_recycle(given: object, url: str | None) -> None:
    """Raise ``TypeError`` or ``ValueError`` for what is no policy, or for no worker of ours."""
    if given is None:
        return
    if not isinstance(given, Recycle):
        raise TypeError(
            f"recycle= is a policy such as asyncbridge.Recycle(rss=2 * 2**30), not {given!r:.80}"
        )
    if url is not None:
        raise ValueError(
            "recycle= is for a worker that connect() starts itself: who has started the one at "
            f"{url} replaces it"
        )


def transport_of(given: str | None) -> Transport:
    """Return which transport it is: the argument, else the variable, else the WebSocket.

    Raises:
        ValueError: There is no such transport.
    """
    name = given or os.environ.get("ASYNCBRIDGE_TRANSPORT") or "websocket"
    known: dict[str, Transport] = {"websocket": "websocket", "http": "http"}
    if name not in known:
        what = f"transport={name!r}" if given else f"ASYNCBRIDGE_TRANSPORT={name!r}"
        raise ValueError(f"{what} is no transport: 'websocket' (the default) or 'http'")
    return known[name]


def session_of(given: str | None, url: str | None) -> str:
    """Return the session's name: the argument, else, for a worker that runs, the variable's.

    Raises:
        TypeError: It is no text.
        ValueError: It is no name, or there is no worker that it could be of.
    """
    if given is None:
        where, name = "ASYNCBRIDGE_SESSION=", os.environ.get("ASYNCBRIDGE_SESSION", "")
        if not name or url is None:
            return ""
    else:
        where, name = "session=", given
    if not isinstance(name, str):
        raise TypeError(f"session= is the name of a session, not {name!r:.80}")
    if SESSION_NAME.fullmatch(name) is None:
        raise ValueError(
            f"{where}{name!r:.100}: a session's name is 1 to 64 letters, digits, '.', '_' or '-' "
            "of ASCII, and begins with a letter or a digit"
        )
    if url is None:
        raise ValueError(
            f"session={name!r} is of a worker that goes on without this process: start one by "
            "`asyncbridge worker`, and pass its address as url="
        )
    return name


def check_bytes(name: str, given: int | None, *, least: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` for a size that is none."""
    if given is None:
        return
    if isinstance(given, bool) or not isinstance(given, int):
        raise TypeError(f"{name}= is a number of bytes, such as 64 * 2**20, not {given!r}")
    if given < least:
        raise ValueError(f"{name}= is a number of bytes from {least} up, got {given}")


def seconds(given: float | None, variable: str, default: float) -> float:
    """Return a time limit: the argument, else the variable, else the default."""
    text, name = os.environ.get(variable), variable.removeprefix("ASYNCBRIDGE_").lower()
    if given is None and text:
        name = variable
        try:
            given = float(text)
        except ValueError:
            raise ValueError(f"{variable}={text!r} is no number of seconds") from None
    result = default if given is None else given
    check_timeout(result, name)
    return result


def read_token_file() -> str | None:
    """Return the token of the file that ``ASYNCBRIDGE_TOKEN_FILE`` names, if it does."""
    name = os.environ.get("ASYNCBRIDGE_TOKEN_FILE")
    return read_token(Path(name)) if name else None


def read_token(path: Path) -> str:
    """Read a token from a file that nobody else may read.

    Raises:
        AuthenticationError: There is no such file, or others may read it.
    """
    try:
        status = path.stat()
        token = path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise AuthenticationError(f"cannot read the token file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise AuthenticationError(f"the token file {path} holds no text") from None
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise AuthenticationError(f"other users can read the token file {path}: chmod 600 {path}")
    if not token:
        raise AuthenticationError(f"the token file {path} is empty")
    return token


def check_socket(path: Path) -> None:
    """Look whether a worker's socket stands in a folder of this user's alone.

    Raises:
        ConnectError: There is no such folder, and so no worker.
        SocketPermissionError: It does not; the text says how to mend it.
    """
    folder = path.parent
    try:
        status = folder.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise ConnectError(nobody_at(path)) from None
    except OSError as error:
        raise SocketPermissionError(
            f"cannot look at the socket folder {folder}: {error.strerror}"
        ) from None
    if status.st_uid != os.getuid():
        raise SocketPermissionError(
            f"the socket folder {folder} belongs to user {status.st_uid}, not to you "
            f"({os.getuid()}): whoever owns it could stand in for the worker"
        )
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise SocketPermissionError(
            f"other users can enter the socket folder {folder} "
            f"(mode {stat.S_IMODE(status.st_mode):o}): put the socket in a folder of its own, of "
            "mode 700, such as `asyncbridge worker` makes"
        )


def nobody_at(path: Path) -> str:
    """Return what to say, and to do, where no worker listens on a Unix socket."""
    return (
        f"no worker listens at unix://{path}: start one by `asyncbridge worker --folder "
        f"{shlex.quote(str(path.parent))}`, which prints its address"
    )


def bound_of(backlog: object) -> Bound:
    """Return how much may wait in the client.

    Raises:
        TypeError: It is no pair of numbers.
        ValueError: It would let nothing through.
    """
    if backlog is None:
        return DEFAULT_BACKLOG
    if isinstance(backlog, Bound):
        return backlog
    if isinstance(backlog, tuple) and [type(part) for part in backlog] == [int, int]:
        return Bound(count=backlog[0], size=backlog[1])
    raise TypeError(f"backlog= is (commands, bytes), such as (1000, 2**30), not {backlog!r:.80}")
