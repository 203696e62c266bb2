from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from asyncbridge.client.options import (
    AUTO,
    Options,
    bound_of,
    check_socket,
    read_token,
    resolve,
    seconds,
)
from asyncbridge.errors import AuthenticationError, ConnectError, SocketPermissionError
from asyncbridge.protocol.limits import DEFAULT_BACKLOG, DEFAULT_IN_FLIGHT, Bound
from asyncbridge.transport.sizes import memory_of_machine

VARIABLES = (
    "URL",
    "BACKEND",
    "PYTHON",
    "CONNECT_TIMEOUT",
    "CLOSE_TIMEOUT",
    "TOKEN_FILE",
    "SESSION",
)
URL = "unix:///w/worker.sock"
SIZES = ("SHARED_MEMORY", "CACHE", "LARGEST_VALUE", "IN_FLIGHT")


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin with none of the variables set."""
    for name in (*VARIABLES, *SIZES, "TRANSPORT"):
        monkeypatch.delenv(f"ASYNCBRIDGE_{name}", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)


def resolved(url: str | None = None, **given: Any) -> Options:
    """Resolve with nothing else given."""
    nothing: dict[str, Any] = dict.fromkeys(
        ("token", "python", "env", "connect_timeout", "close_timeout", "backlog")
    )
    options: dict[str, Any] = {"backend": AUTO, **nothing, **given}
    return resolve(url, **options)


def test_the_defaults_are_those_of_the_class() -> None:
    """One table of defaults, not two."""
    assert resolved() == Options()
    assert resolved().python == sys.executable
    assert resolved().backlog == DEFAULT_BACKLOG


def test_variables_come_before_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each has its own."""
    monkeypatch.setenv("ASYNCBRIDGE_URL", "unix:///w")
    monkeypatch.setenv("ASYNCBRIDGE_BACKEND", "jax")
    monkeypatch.setenv("ASYNCBRIDGE_PYTHON", "/other")
    monkeypatch.setenv("ASYNCBRIDGE_CONNECT_TIMEOUT", "7")
    monkeypatch.setenv("ASYNCBRIDGE_CLOSE_TIMEOUT", "0.5")
    options = resolved()
    assert (options.url, options.backend, options.python) == ("unix:///w", "jax", "/other")
    assert (options.connect_timeout, options.close_timeout) == (7.0, 0.5)


def test_arguments_come_before_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them."""
    for name in VARIABLES:
        monkeypatch.setenv(f"ASYNCBRIDGE_{name}", "9")
    options = resolved(
        "unix:///mine", token="t", backend="torch", python="/mine", env={"A": "1", "B": None},
        connect_timeout=1, close_timeout=2, backlog=Bound(count=3, size=4), session="mine",
    )  # fmt: skip
    assert options == Options(
        url="unix:///mine", token="t", backend="torch", python="/mine", env={"A": "1", "B": None},
        connect_timeout=1, close_timeout=2, backlog=Bound(count=3, size=4), session="mine",
    )  # fmt: skip


def test_keras_own_variable_names_the_backend_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """After asyncbridge's own."""
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert resolved().backend == "torch"
    monkeypatch.setenv("ASYNCBRIDGE_BACKEND", "none")
    assert resolved().backend is None
    assert resolved(backend=None).backend is None


def test_variables_of_frames_are_asked_for_by_the_argument_alone() -> None:
    """They may be secrets: nothing in the environment asks for them."""
    assert resolved(locals=True) == Options(locals=True)
    with pytest.raises(TypeError, match="locals= is True or False, not 1"):
        resolved(locals=1)


@pytest.mark.parametrize("given", [0, -1, float("nan")])
def test_a_time_limit_is_positive(given: float) -> None:
    """Zero would be no time at all."""
    with pytest.raises(ValueError, match="positive number of seconds"):
        seconds(given, "ASYNCBRIDGE_X", 1.0)


@pytest.mark.parametrize("given", ["5", True])
def test_what_is_no_number_of_seconds_is_named(given: Any) -> None:
    """By the argument that it was given for."""
    with pytest.raises(TypeError, match="halt_timeout= is a number of seconds, not "):
        resolved(halt_timeout=given)


@pytest.mark.parametrize("given", [1e300, float("inf")])
def test_a_time_limit_is_no_longer_than_timers_know_of(given: float) -> None:
    """The argument is named; none of them is for ever."""
    for name in ("connect_timeout", "close_timeout", "halt_timeout"):
        with pytest.raises(ValueError, match=f"{name}= is 1000000000 seconds at most"):
            seconds(given, f"ASYNCBRIDGE_{name.upper()}", 1.0)


def test_a_variable_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its value."""
    monkeypatch.setenv("ASYNCBRIDGE_CONNECT_TIMEOUT", "soon")
    with pytest.raises(ValueError, match="ASYNCBRIDGE_CONNECT_TIMEOUT='soon'"):
        resolved()


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As shells have it."""
    for name in VARIABLES:
        monkeypatch.setenv(f"ASYNCBRIDGE_{name}", "")
    assert resolved() == Options()


def test_the_token_is_in_no_repr() -> None:
    """Options may be logged."""
    assert "secret" not in repr(Options(token="secret"))


def test_the_token_file_is_read_for_a_url_only(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A worker that is started gets a token of its own."""
    monkeypatch.setenv("ASYNCBRIDGE_TOKEN_FILE", str(tmp_path / "token"))
    assert resolved().token is None
    write(tmp_path / "token", "secret\n", 0o600)
    assert resolved("unix:///w").token == "secret"


def write(path: Path, text: str, mode: int) -> Path:
    """Write a file with this mode."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o777])
def test_a_token_file_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    """With the command that mends it, and without the token."""
    path = write(tmp_path / "token", "secret", mode)
    with pytest.raises(AuthenticationError, match=f"chmod 600 {path}") as caught:
        read_token(path)
    assert "secret" not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    """With the system's reason."""
    with pytest.raises(AuthenticationError, match="nowhere: No such file"):
        read_token(tmp_path / "nowhere")


def test_a_token_file_that_holds_no_text_is_refused(tmp_path: Path) -> None:
    """Bytes that are no UTF-8 are an authentication error, not a decoder's."""
    path = tmp_path / "token"
    path.write_bytes(b"\xff\xfe")
    path.chmod(0o600)
    with pytest.raises(AuthenticationError, match="token"):
        read_token(path)


def test_a_socket_in_a_folder_of_this_user_alone_is_fine(tmp_path: Path) -> None:
    """Nothing is raised, whether the socket is there or not."""
    tmp_path.chmod(0o700)
    check_socket(tmp_path / "worker.sock")


@pytest.mark.parametrize("mode", [0o710, 0o701, 0o755, 0o777])
def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path: Path, mode: int) -> None:
    """With its mode and the command that mends it."""
    tmp_path.chmod(mode)
    with pytest.raises(
        SocketPermissionError, match=f"{tmp_path} .mode {mode:o}.*a folder of its own"
    ):
        check_socket(tmp_path / "worker.sock")


def test_a_socket_folder_of_somebody_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its mode."""
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(SocketPermissionError, match="belongs to user"):
        check_socket(tmp_path / "worker.sock")


def test_a_socket_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """No worker is there, and how one is started; one that cannot be looked at is another matter."""
    told = rf"no worker listens at unix://{tmp_path}/no where/worker.sock.*--folder '{tmp_path}/no "
    with pytest.raises(ConnectError, match=told) as caught:
        check_socket(tmp_path / "no where" / "worker.sock")
    assert not isinstance(caught.value, SocketPermissionError)
    with pytest.raises(SocketPermissionError, match="cannot look at the socket folder"):
        check_socket(tmp_path / ("x" * 300) / "worker.sock")


def test_auto_shows_as_its_name() -> None:
    """It stands in signatures."""
    assert repr(AUTO) == "AUTO"


@pytest.mark.parametrize("name", SIZES)
def test_a_size_is_given_or_a_variables(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument comes first; what is no number of bytes is named."""
    monkeypatch.setenv(f"ASYNCBRIDGE_{name}", "77")
    assert getattr(resolved(), name.lower()) == 77
    given: dict[str, Any] = {name.lower(): 99}
    assert getattr(resolved(**given), name.lower()) == 99
    with pytest.raises(ValueError, match=f"{name.lower()}= is a number of bytes"):
        resolved(None, **{**given, name.lower(): -1})
    monkeypatch.setenv(f"ASYNCBRIDGE_{name}", "some")
    with pytest.raises(ValueError, match=f"ASYNCBRIDGE_{name}='some'"):
        resolved()


def test_the_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument comes before the variable, and another one is refused by its name."""
    assert resolved().transport == "websocket"
    monkeypatch.setenv("ASYNCBRIDGE_TRANSPORT", "http")
    assert resolved().transport == "http"
    assert resolved(transport="websocket").transport == "websocket"
    with pytest.raises(ValueError, match="transport='pigeon' is no transport"):
        resolved(transport="pigeon")
    monkeypatch.setenv("ASYNCBRIDGE_TRANSPORT", "pigeon")
    with pytest.raises(ValueError, match="ASYNCBRIDGE_TRANSPORT='pigeon' is no transport"):
        resolved()


def test_the_limits_of_a_bridge() -> None:
    """A value may be as large as the machine's memory, unless something else was said."""
    assert resolved().limits.largest == memory_of_machine()
    assert resolved().limits.in_flight == DEFAULT_IN_FLIGHT
    limits = resolved(largest_value=5, in_flight=6).limits
    assert (limits.largest, limits.in_flight) == (5, 6)


@pytest.mark.parametrize("name", ["shared_memory", "cache", "largest_value", "in_flight"])
@pytest.mark.parametrize("given", ["64MB", 1.5, True])
def test_a_size_is_a_number_of_bytes(name: str, given: Any) -> None:
    """Texts with units are refused by the argument's name."""
    with pytest.raises(TypeError, match=f"^{name}= is a number of bytes, .*not {given!r}"):
        resolved(**{name: given})


@pytest.mark.parametrize("name", ["writable", "one_hot", "copy"])
def test_a_choice_is_a_bool(name: str) -> None:
    """A text such as "no" would pass for true."""
    with pytest.raises(TypeError, match=f"^{name}= is True or False, not 'no'"):
        resolved(**{name: "no"})


def test_a_sessions_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, else the variable; the latter is for workers that run alone."""
    assert resolved(URL).session == ""
    assert resolved(URL, session="nightly-1.b_c").session == "nightly-1.b_c"
    monkeypatch.setenv("ASYNCBRIDGE_SESSION", "mine")
    assert resolved(URL).session == "mine"
    assert resolved(URL, session="other").session == "other"
    assert resolved().session == ""


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "a/b", "ä", "a" * 65, "a\n"])
def test_what_is_no_sessions_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The text says what one is, and where this one came from."""
    with pytest.raises(ValueError, match="session=.*: a session's name is 1 to 64 letters"):
        resolved(URL, session=name)
    if name:
        monkeypatch.setenv("ASYNCBRIDGE_SESSION", name)
        with pytest.raises(ValueError, match="^ASYNCBRIDGE_SESSION="):
            resolved(URL)


def test_a_session_without_a_worker() -> None:
    """A worker that ends with its bridge has no sessions that go on."""
    with pytest.raises(ValueError, match="pass its address as url="):
        resolved(session="a")
    with pytest.raises(TypeError, match="the name of a session, not 3"):
        resolved(URL, session=3)


def test_how_much_may_wait() -> None:
    """As a pair of numbers, or as a bound."""
    assert bound_of(None) == DEFAULT_BACKLOG
    assert (
        bound_of((10, 1000)) == bound_of(Bound(count=10, size=1000)) == Bound(count=10, size=1000)
    )
    with pytest.raises(ValueError, match="at least one item"):
        bound_of((0, 1000))
    for wrong in (5, (1, 2, 3), ("1", 2), (True, 2)):
        with pytest.raises(TypeError, match=r"backlog= is \(commands, bytes\), such as"):
            bound_of(wrong)
