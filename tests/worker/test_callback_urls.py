"""Callbacks lead to the client that asked for them, and to nobody else."""

from __future__ import annotations

import contextlib
import socket
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from asyncbridge.worker.callback_urls import address_of, check_callback, home_of, read_callback
from asyncbridge.worker.problems import Problem

NOBODY: frozenset[str] = frozenset()
(FIRST, NAME), *_ = socket.if_nameindex()


def check(url: str, home: str, others: frozenset[str] = NOBODY) -> str:
    """Check a callback, and return the host that is dialled."""
    read = read_callback(url)
    check_callback(read, home, others)
    assert read.raw_host is not None
    return read.raw_host


@pytest.mark.parametrize(
    ("url", "home", "dialled"),
    [
        ("http://127.0.0.1:80/x", "127.0.0.1", "127.0.0.1"),
        ("http://localhost:9/x", "127.0.0.1", "localhost"),
        ("HTTP://LOCALHOST:9/x", "::1", "localhost"),
        ("http://[::1]:9/x", "127.0.0.1", "::1"),
        ("http://[0:0:0:0:0:0:0:1]/x", "127.0.0.1", "::1"),
        ("http://127.0.0.2:9", "::1", "127.0.0.2"),
        ("https://10.0.0.7/notify", "10.0.0.7", "10.0.0.7"),
        ("http://10.0.0.7:8080/", "::ffff:10.0.0.7", "10.0.0.7"),
        ("http://[::ffff:10.0.0.7]/", "10.0.0.7", "::ffff:a00:7"),
        ("http://[::ffff:127.0.0.1]/", "127.0.0.1", "::ffff:7f00:1"),
        ("http://127.0.0.1?@evil.example/", "127.0.0.1", "127.0.0.1"),
        ("http://127.0.0.1/#@evil.example/", "127.0.0.1", "127.0.0.1"),
        (f"http://[fe80::1%25{NAME}]:8080/", f"fe80::1%{FIRST}", f"fe80::1%{FIRST}"),
        (f"http://[fe80::1%{NAME}]:8080/", f"fe80::1%{FIRST}", f"fe80::1%{FIRST}"),
        (f"http://[FE80::1%25{FIRST}]:8080/", f"fe80::1%{FIRST}", f"fe80::1%{FIRST}"),
    ],
)
def test_the_client_itself(url: str, home: str, dialled: str) -> None:
    """By its address, however that is written; loopback has several."""
    assert check(url, home) == dialled


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("http://10.0.0.8/x", "10.0.0.7"),
        ("http://127.0.0.1/x", "10.0.0.7"),
        ("http://localhost/x", "10.0.0.7"),
        ("http://10.0.0.7/x", "127.0.0.1"),
        ("http://example.org/x", "127.0.0.1"),
        ("http://169.254.169.254/latest", "127.0.0.1"),
        ("http://[::ffff:169.254.169.254]/latest", "127.0.0.1"),
        ("http://0.0.0.0/x", "127.0.0.1"),
        ("http://[::]/x", "127.0.0.1"),
        ("http://[::127.0.0.1]/x", "127.0.0.1"),
        ("http://[64:ff9b::7f00:1]/x", "127.0.0.1"),
        # Whatever some resolver may make of these, they are names.
        ("http://2130706433/x", "127.0.0.1"),
        ("http://0x7f000001/x", "127.0.0.1"),
        ("http://0x7f.1/x", "127.0.0.1"),
        ("http://0177.0.0.1/x", "127.0.0.1"),
        ("http://127.1/x", "127.0.0.1"),
        ("http://127.0.0.1./x", "127.0.0.1"),
        ("http://localhost./x", "127.0.0.1"),
        ("http://127.0.0.1.evil.example/x", "127.0.0.1"),
        ("http://[v1.127.0.0.1]/x", "127.0.0.1"),
        (f"http://[fe80::2%{FIRST}]/x", f"fe80::1%{FIRST}"),
        (f"http://[fe80::1%{FIRST}]/x", "fe80::1%999999"),
    ],
)
def test_anybody_else(url: str, home: str) -> None:
    """The refusal names both sides, and what would allow it."""
    with pytest.raises(Problem, match=r"--callback-hosts") as caught:
        check(url, home)
    assert (caught.value.status, caught.value.code) == (403, "CallbackForbidden")
    assert home in str(caught.value)


def test_hosts_that_were_allowed() -> None:
    """They are named exactly."""
    allowed = frozenset({"example.org", "10.0.0.8", "127.0.0.1.evil.example"})
    check("https://example.org:444/x", "10.0.0.7", allowed)
    check("http://10.0.0.8/x", "10.0.0.7", allowed)
    for url in ("https://sub.example.org/x", "https://example.org./x"):
        with pytest.raises(Problem):
            check(url, "10.0.0.7", allowed)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "no http://"),
        ("x", "no http://"),
        ("ftp://127.0.0.1/x", "no http://"),
        ("file:///etc/passwd", "no http://"),
        ("http://", "no http://"),
        ("http:/127.0.0.1/x", "no http://"),
        ("http:127.0.0.1", "no http://"),
        ("http://127.0.0.1:0/x", "no http://"),
        ("http://127.0.0.1:99999/x", "no URL"),
        ("http://127.0.0.1:\uff180/x", "printable ASCII"),
        ("http://[::1/x", "no URL"),
        ("http://[::1]evil.example/", "no URL"),
        ("http://]@", "no URL"),
        ("http://[::1]:80evil/", "no URL"),
        ("http://me:secret@127.0.0.1/x", "callback_token"),
        ("http://127.0.0.1@evil.example/x", "callback_token"),
        ("http://evil.example@127.0.0.1/x", "callback_token"),
        ("http://127.0.0.1%2f@evil.example/x", "callback_token"),
        ("http://:@127.0.0.1/x", "callback_token"),
        ("http://evil.example\\@127.0.0.1/x", "no URL"),
        ("http://127.0.0.1%.evil.example/x", "has a %"),
        ("http://127.0.0.1%2eevil.example/x", "has a %"),
        ("http://127.0.0.1%00.evil.example/x", "has a %"),
        ("http://[::1%evil]/x", "has a %"),
        ("http://[::1%25lo]/x", "has a %"),
        ("http://[::ffff:127.0.0.1%25lo]/x", "has a %"),
        ("http://[fe80::1%25no-such]/x", "no network interface"),
        ("http://[fe80::1%25]/x", "no network interface"),
        ("http://[fe80::1%0]/x", "no network interface"),
        (f"http://[fe80::1%{2**70}]/x", "no network interface"),
        ("http://127.0.0.1\t.evil.example/x", "printable ASCII"),
        ("http://127.0.0.1\n/x", "printable ASCII"),
        (" http://127.0.0.1/x", "printable ASCII"),
        ("http://127.0.0.1/a b", "printable ASCII"),
        ("http://\uff11\uff12\uff17.0.0.1/x", "printable ASCII"),
        ("http://127.0.0.1\u3002evil.example/x", "printable ASCII"),
    ],
)
def test_what_is_no_address(url: str, message: str) -> None:
    """It is a bad request, and the text says what is wrong."""
    with pytest.raises(Problem, match=message) as caught:
        check(url, "127.0.0.1", frozenset({"evil.example", "127.0.0.1.evil.example"}))
    assert (caught.value.status, caught.value.code) == (400, "BadCallback")


def test_an_address_without_its_zone() -> None:
    """It cannot be dialled, and the text says how it is written."""
    with pytest.raises(Problem, match="needs its zone") as caught:
        check("http://[fe80::1]/x", f"fe80::1%{FIRST}")
    assert caught.value.status == 400


@given(st.text("127.0:[]%@/\\\\#?;&~_-xevil f\t\u3002\uff11", max_size=24))
def test_whatever_is_let_through_is_loopback(text: str) -> None:
    """Here, for a client that is; and nothing breaks on what is not."""
    for url in (f"http://{text}", f"http://127.0.0.1{text}", f"http://[::1{text}", f"http:{text}"):
        with contextlib.suppress(Problem):
            dialled = check(url, "127.0.0.1")
            address = address_of(dialled)
            assert dialled == "localhost" or (address is not None and address.is_loopback)


class Transport:
    """Has an address at its other end."""

    def __init__(self, peer: object) -> None:
        self._peer = peer

    def get_extra_info(self, name: str) -> Any:
        return self._peer if name == "peername" else None


@pytest.mark.parametrize(
    ("peer", "home"),
    [
        ("", "127.0.0.1"),
        (("10.0.0.7", 99), "10.0.0.7"),
        (("::1", 99, 0, 0), "::1"),
        (("fe80::1", 99, 0, FIRST), f"fe80::1%{FIRST}"),
        ((f"fe80::1%{NAME}", 99, 0, FIRST), f"fe80::1%{FIRST}"),
    ],
)
def test_where_a_request_comes_from(peer: object, home: str) -> None:
    """An IPv6 address has the number of its interface; a Unix socket is loopback."""
    request = make_mocked_request("GET", "/", transport=Transport(peer))
    assert home_of(request) == home
