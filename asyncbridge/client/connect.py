"""``connect``: the one way in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncbridge.client.bridge import Bridge
from asyncbridge.client.options import AUTO, Auto, resolve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from asyncbridge.client.recycle import Recycle
    from asyncbridge.client.restarts import Restart, RestartWhen
    from asyncbridge.protocol.limits import Bound

__all__ = ["connect"]


def connect(
    url: str | None = None,
    *,
    token: str | None = None,
    backend: str | Auto | None = AUTO,
    python: str | None = None,
    env: Mapping[str, str | None] | None = None,
    connect_timeout: float | None = None,
    close_timeout: float | None = None,
    backlog: Bound | tuple[int, int] | None = None,
    shared_memory: int | None = None,
    writable: bool = False,
    cache: int | None = None,
    largest_value: int | None = None,
    in_flight: int | None = None,
    one_hot: bool = True,
    copy: bool = False,
    restart: RestartWhen | Restart = "on-failure",
    locals: bool = False,  # noqa: A002 - as Python's tracebacks say
    session: str | None = None,
    halt_on_error: bool = False,
    halt_timeout: float | None = None,
    transport: str | None = None,
    debug: bool | None = None,
    recycle: Recycle | None = None,
) -> Bridge:
    """Return a bridge to a worker, to be entered with ``async with`` or with ``with``.

    Every argument that is not given is taken from its ``ASYNCBRIDGE_*`` variable, if there is
    one, else from a default. Times are in seconds.

    Args:
        url: A worker that runs, ``unix:///path`` or ``https://host:port``; without it a worker
            is started on this machine, and ended with the bridge. (``ASYNCBRIDGE_URL``)
        token: The secret of a worker that runs; by default that of the file beside its Unix
            socket, or of the file, of mode 0600, that ``ASYNCBRIDGE_TOKEN_FILE`` names.
        backend: Keras's backend in a worker that is started: ``"tensorflow"`` (the default),
            ``"jax"``, ``"torch"``, or None for a worker without Keras, which is there in well
            under a second. (``ASYNCBRIDGE_BACKEND``, ``KERAS_BACKEND``; ``none`` for None)
        python: The interpreter of a worker that is started; this process's own by default.
            (``ASYNCBRIDGE_PYTHON``)
        env: Variables for the environment of a worker that is started; None takes one out.
        connect_timeout: From the start to the worker's welcome; 60 by default.
            (``ASYNCBRIDGE_CONNECT_TIMEOUT``)
        close_timeout: For what is unfinished when the bridge closes; 30 by default.
            (``ASYNCBRIDGE_CLOSE_TIMEOUT``)
        backlog: Commands, and their bytes, that may wait beyond the worker's window; 100,000
            and 1 GiB by default.
        shared_memory: Bytes of shared memory that each side may take to pass large arrays to the
            other on the same machine, 0 for none: then they go by a slower stream. A quarter of
            what there is by default. (``ASYNCBRIDGE_SHARED_MEMORY``)
        writable: Whether arrays from 64 KiB up that come back may be written. By default they
            are read-only; ``send(writable=True)`` says otherwise for one command.
        cache: Bytes of arrays that a worker keeps which is started, and which shares no memory:
            one that is sent again, unchanged, does not travel again. An eighth of the memory
            there by default; 0 for none. (``ASYNCBRIDGE_CACHE``)
        largest_value: Bytes of the largest value, to the worker or back; a larger one is
            refused with ``TooLarge``. The memory of the machine by default.
            (``ASYNCBRIDGE_LARGEST_VALUE``)
        in_flight: Bytes of large arrays that may be on the way at once in each direction; others
            wait. 1 GiB by default. (``ASYNCBRIDGE_IN_FLIGHT``)
        one_hot: Whether large one-hot matrices are sent as the columns of their ones; they come
            out dense in any case. ``send`` and ``put`` take it for one command.
        copy: Whether arrays from 64 KiB up are copied by the call that sends them, so that they
            may be changed right after it. It holds up the caller: by default they must not be
            changed until their command has started. ``send`` and ``put`` take it for one command.
        restart: Whether a worker that was started here has a successor when it ends:
            ``"on-failure"``, ``"always"``, ``"never"``, or a ``Restart`` with limits of its own.
            Commands that provably never started go to the successor, as far as they need nothing
            that was lost.
        locals: Whether a ``RemoteError`` tells the variables of its frames, each by a short
            ``repr``. Never by default: they may hold data and secrets, which then stand in logs.
        session: A name, for a worker that runs: its commands go on when this process is gone,
            and their outcomes wait for the next one that connects by the name, which takes the
            session over. (``ASYNCBRIDGE_SESSION``)
        halt_on_error: Whether a command that fails halts this bridge's others until
            ``bridge.decide`` says what becomes of it. ``bridge.on_error`` sets a handler for that.
        halt_timeout: How long a halt lasts at most; then the error stands. 300 by default.
            (``ASYNCBRIDGE_HALT_TIMEOUT``)
        transport: ``"websocket"``, the default, or ``"http"``: then both sides post JSON to each
            other, and this process listens on a loopback port. (``ASYNCBRIDGE_TRANSPORT``)
        debug: Whether the log ``asyncbridge.lifetime`` says who keeps the values of a command's
            bindings alive when it is over. It takes some milliseconds a command.
            (``ASYNCBRIDGE_DEBUG=1``)
        recycle: When a worker that is started here is replaced by another one, between two
            commands: ``Recycle(rss=2 * 2**30)``. Its models and bindings move there, and the
            commands that wait. By default never; a worker with half of the machine's memory says
            so in the log, once.

    Raises:
        AuthenticationError: ``ASYNCBRIDGE_TOKEN_FILE`` cannot be read, or others can read it.
        TypeError: A size that is no number of bytes, or a choice that is no bool.
        ValueError: A time limit that is no positive number, a size that is none, another
            transport, or a session's name that is none, or is given without ``url``.

    Entering raises ``WorkerStartError`` when a worker does not start, and ``ConnectError`` when
    there is none to attach to.
    """
    return Bridge(
        resolve(
            url,
            token=token,
            backend=backend,
            python=python,
            env=env,
            connect_timeout=connect_timeout,
            close_timeout=close_timeout,
            backlog=backlog,
            shared_memory=shared_memory,
            writable=writable,
            cache=cache,
            largest_value=largest_value,
            in_flight=in_flight,
            one_hot=one_hot,
            copy=copy,
            restart=restart,
            locals=locals,
            session=session,
            halt_on_error=halt_on_error,
            halt_timeout=halt_timeout,
            transport=transport,
            debug=debug,
            recycle=recycle,
        )
    )
