"""Addresses that are refused before anything is sent there."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest

from asyncbridge.client.addresses import address_of, check_bare, check_clear_text, is_loopback
from asyncbridge.errors import ConnectError


@pytest.mark.parametrize("more", ["/foo", "/v1/commands", "?a=1", "/#a"])
def test_more_than_an_address(more: str) -> None:
    """It would be ignored: the text tells what is an address."""
    url = f"http://127.0.0.1:18750{more}"
    with pytest.raises(ConnectError, match=r"http://127\.0\.0\.1:18750 is all"):
        check_bare(urlsplit(url), url)


@pytest.mark.parametrize("port", ["99999", "x"])
def test_a_port_that_is_none(port: str) -> None:
    """It is no address, and no error of another kind."""
    url = f"https://gpu.example:{port}"
    with pytest.raises(ConnectError, match="is no worker's address: .ort"):
        check_bare(urlsplit(url), url)


def test_what_cannot_be_read() -> None:
    """It is no error of another kind either."""
    with pytest.raises(ConnectError, match="'http://\\[::1' is no worker's address: Invalid IPv6"):
        address_of("http://[::1", "t")


@pytest.mark.parametrize("url", ["https://gpu.example", "http://[::1]:8750/", "http://localhost:1"])
def test_an_address(url: str) -> None:
    """With a port or without, and with the slash that browsers add."""
    check_bare(urlsplit(url), url)


@pytest.mark.parametrize(
    ("host", "local"),
    [("localhost", True), ("127.8.0.1", True), ("::1", True), ("10.0.0.7", False), ("", False)],
)
def test_plain_http_is_for_this_machine(host: str, local: bool) -> None:
    """Elsewhere the token could be read on its way."""
    assert is_loopback(host) is local
    check_clear_text("https", host, "u")
    if local:
        check_clear_text("http", host, "u")
    else:
        with pytest.raises(ConnectError, match="use https://"):
            check_clear_text("http", host, "u")
