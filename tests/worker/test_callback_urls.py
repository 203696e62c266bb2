"""Callbacks lead to the client that asked for them, and to nobody else."""

from __future__ import annotations

import pytest

from asyncbridge.worker.callback_urls import check_callback
from asyncbridge.worker.problems import Problem


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://127.0.0.1:80/x", "127.0.0.1"),
        ("http://localhost:9/x", "127.0.0.1"),
        ("http://[::1]:9/x", "127.0.0.1"),
        ("http://127.0.0.2:9", "::1"),
        ("https://10.0.0.7/notify", "10.0.0.7"),
        ("http://10.0.0.7:8080/", "::ffff:10.0.0.7"),
        ("http://[fe80::1]:8080/", "fe80::1%eth0"),
    ],
)
def test_the_client_itself(url: str, home: str) -> None:
    """By its address, however that is written; loopback has several."""
    check_callback(url, home, frozenset())


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://10.0.0.8/x", "10.0.0.7"),
        ("http://127.0.0.1/x", "10.0.0.7"),
        ("http://localhost/x", "10.0.0.7"),
        ("http://10.0.0.7/x", "127.0.0.1"),
        ("http://example.org/x", "127.0.0.1"),
        ("http://169.254.169.254/latest", "127.0.0.1"),
        ("http://2130706433/x", "127.0.0.1"),
    ],
)
def test_anybody_else(url: str, home: str) -> None:
    """The refusal names both sides, and what would allow it."""
    with pytest.raises(Problem, match=r"--callback-hosts") as caught:
        check_callback(url, home, frozenset())
    assert (caught.value.status, caught.value.code) == (403, "CallbackForbidden")
    assert home in str(caught.value)


def test_hosts_that_were_allowed() -> None:
    """They are named exactly."""
    allowed = frozenset({"example.org", "10.0.0.8"})
    check_callback("https://example.org:444/x", "10.0.0.7", allowed)
    check_callback("http://10.0.0.8/x", "10.0.0.7", allowed)
    with pytest.raises(Problem):
        check_callback("https://sub.example.org/x", "10.0.0.7", allowed)


@pytest.mark.parametrize(
    "url",
    ["", "x", "ftp://127.0.0.1/x", "file:///etc/passwd", "http://", "http://127.0.0.1:0/x",
     "http://127.0.0.1:99999/x", "http://[::1/x", "http://me:secret@127.0.0.1/x"],
)  # fmt: skip
def test_what_is_no_address(url: str) -> None:
    """It is a bad request."""
    with pytest.raises(Problem) as caught:
        check_callback(url, "127.0.0.1", frozenset())
    assert (caught.value.status, caught.value.code) == (400, "BadCallback")
