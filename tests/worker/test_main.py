"""The command line of a worker that clients attach to: addresses, folders and tokens."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from asyncbridge.worker import __main__ as module
from asyncbridge.worker.__main__ import check_address, default_folder, main, token_of, url


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The configs that the supervisor was given; it starts nothing."""
    configs: list[dict[str, Any]] = []

    def run_foreground(config: dict[str, Any]) -> int:
        configs.append(config)
        return 7

    monkeypatch.setattr(module, "run_foreground", run_foreground)
    return configs


# --- addresses ---------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost"])
def test_loopback_needs_no_tls(host: str) -> None:
    """What stays on this machine may go without TLS."""
    check_address(host, tls=False)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.5", "gpu.example", "", "127.0.0.1.example"]
)
def test_beyond_loopback(host: str) -> None:
    """An address that others can reach, or that nobody can judge, needs TLS."""
    with pytest.raises(ValueError, match="without TLS: pass --tls-cert and --tls-key"):
        check_address(host, tls=False)
    check_address(host, tls=True)


@pytest.mark.parametrize(
    ("host", "cert", "expected"),
    [
        (None, None, "unix://{folder}/worker.sock"),
        ("127.0.0.1", None, "http://127.0.0.1:8750"),
        ("gpu.example", Path("cert.pem"), "https://gpu.example:8750"),
        ("::1", None, "http://[::1]:8750"),
    ],
)
def test_url(tmp_path: Path, host: str | None, cert: Path | None, expected: str) -> None:
    """The address is told as a client writes it."""
    assert url(tmp_path, host, 8750, cert) == expected.format(folder=tmp_path)


# --- tokens ------------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_a_new_token(tmp_path: Path, umask: int) -> None:
    """A token is made where there is none, for this user's eyes alone, and then stays."""
    path = tmp_path / "token"
    before = os.umask(umask)
    try:
        token = token_of(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32
    assert token_of(path) == token


def test_tokens_differ(tmp_path: Path) -> None:
    """Every worker's token is another."""
    assert token_of(tmp_path / "one") != token_of(tmp_path / "two")


def test_a_given_token(tmp_path: Path) -> None:
    """A token that a person wrote is read without the line's end."""
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(0o600)
    assert token_of(path) == "secret"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620])
def test_a_token_that_others_can_read(tmp_path: Path, mode: int) -> None:
    """A token file that is open to others is refused, with what mends it."""
    path = tmp_path / "token"
    path.write_text("secret\n")
    path.chmod(mode)
    with pytest.raises(PermissionError, match=f"token file {path}: chmod 600"):
        token_of(path)


@pytest.mark.parametrize("text", ["", "\n", "  \n"])
def test_an_empty_token(tmp_path: Path, text: str) -> None:
    """A token file that holds nothing is refused: a secret of nothing is none."""
    path = tmp_path / "token"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises((OSError, ValueError), match=str(path)):
        token_of(path)


def test_a_token_that_cannot_be_made(tmp_path: Path) -> None:
    """A token file in a folder that is not there is an error of the system's."""
    with pytest.raises(FileNotFoundError):
        token_of(tmp_path / "nowhere" / "token")


# --- the whole ---------------------------------------------------------------------------


def test_default_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder stands in the user's runtime folder, else under a name of the user's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_folder() == tmp_path / "asyncbridge"
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    assert default_folder() == Path(f"/tmp/asyncbridge-{os.getuid()}")


def test_on_a_unix_socket(
    tmp_path: Path, started: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A worker in a folder: made private, with its token, which is told to nobody."""
    folder = tmp_path / "new" / "folder"
    assert main(["--folder", str(folder), "--backend", "none"]) == 7
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (config,) = started
    token = (folder / "token").read_text().strip()
    assert config["folder"] == str(folder)
    worker = config["worker_config"]
    assert (worker["token"], worker["backend"], worker["host"]) == (token, None, None)
    # The token goes over the worker's standard input and by no other way.
    assert token not in str(config["argv"])
    assert token not in str(config["env"])
    said = capsys.readouterr()
    assert token not in said.err + said.out


def test_on_tcp(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    """A worker on TCP is given its address, certificate and key."""
    token = tmp_path / "elsewhere"
    arguments = ["--folder", str(tmp_path / "f"), "--host", "gpu.example", "--port", "99"]
    arguments += ["--tls-cert", "c.pem", "--tls-key", "k.pem", "--token-file", str(token)]
    arguments += ["--callback-hosts", "a.example", "--callback-hosts", "b.example"]
    assert main(arguments) == 7
    worker = started[0]["worker_config"]
    assert worker["callback_hosts"] == ["a.example", "b.example"]
    assert (worker["host"], worker["port"]) == ("gpu.example", 99)
    assert (worker["tls_cert"], worker["tls_key"]) == ("c.pem", "k.pem")
    assert worker["backend"] == "tensorflow"
    assert worker["results_limit"] is None
    assert worker["token"] == token.read_text().strip()


def test_a_limit_of_results(
    tmp_path: Path, started: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It reaches the worker; one that is no size is an error of use."""
    assert main(["--folder", str(tmp_path), "--results-limit", "99"]) == 7
    assert started[0]["worker_config"]["results_limit"] == 99
    assert main(["--folder", str(tmp_path), "--results-limit", "0"]) == 2
    assert "--results-limit is a number of bytes from 1 up, got 0" in capsys.readouterr().err


def test_a_lease(
    tmp_path: Path, started: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """It reaches the worker; one that is no time, or longer than a day, is an error of use."""
    assert main(["--folder", str(tmp_path), "--lease", "0.5"]) == 7
    assert main(["--folder", str(tmp_path)]) == 7
    assert [each["worker_config"]["lease"] for each in started] == [0.5, None]
    for wrong in ("0", "nan", "86401"):
        assert main(["--folder", str(tmp_path), "--lease", wrong]) == 2
        said = f"--lease is a number of seconds above 0, 86400 at most, got {wrong}"
        assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ([], "refusing to listen on 0.0.0.0"),
        (["--tls-cert", "c.pem"], "--tls-cert needs --tls-key beside it"),
        (["--tls-key", "k.pem"], "--tls-key needs --tls-cert beside it"),
    ],
)
def test_refused_without_tls(
    tmp_path: Path,
    started: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    said: str,
) -> None:
    """Beyond loopback both halves of TLS are needed; nothing is started, nor made."""
    folder = tmp_path / "f"
    assert main(["--folder", str(folder), "--host", "0.0.0.0", *extra]) == 2
    assert f"asyncbridge worker: {said}" in capsys.readouterr().err
    assert not started
    assert not folder.exists()


@pytest.mark.parametrize(
    "name",
    ["127.0.0.1:18760", "http://gpu.example", "gpu.example/x", "[::1]", "", " ", "-x", "a b", "ü.example"],
)  # fmt: skip
def test_a_name_that_is_none(
    tmp_path: Path,
    started: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """It would be without effect: an error of use, which says what a name is."""
    assert main(["--folder", str(tmp_path), f"--name={name}"]) == 2
    told = capsys.readouterr().err
    assert f"--name is a host name, such as gpu.example, or an address, got {name!r}" in told
    assert "by any port" in told
    assert not started


def test_names(tmp_path: Path, started: list[dict[str, Any]]) -> None:
    """Host names and addresses reach the worker."""
    names = ["gpu.example", "a", "10.0.0.7", "::1", "my_host-2"]
    assert main(["--folder", str(tmp_path), *(f"--name={name}" for name in names)]) == 7
    assert started[0]["worker_config"]["names"] == names


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (["--tls-cert", "c.pem"], "--tls-cert needs --tls-key"),
        (["--tls-cert", "c.pem", "--tls-key", "k.pem"], "are for TCP: pass --host, too"),
    ],
)
def test_a_certificate_that_would_not_be_used(
    tmp_path: Path,
    started: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
    extra: list[str],
    said: str,
) -> None:
    """On a Unix socket there is no TLS, and half of a pair is none: both are errors of use."""
    assert main(["--folder", str(tmp_path / "f"), *extra]) == 2
    assert said in capsys.readouterr().err
    assert not started


def test_a_folder_that_is_a_file(
    tmp_path: Path, started: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that cannot be made is told in words, without a traceback."""
    path = tmp_path / "file"
    path.write_text("")
    assert main(["--folder", str(path)]) == 2
    assert str(path) in capsys.readouterr().err
    assert not started
