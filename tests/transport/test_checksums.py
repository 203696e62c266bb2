from __future__ import annotations

import pytest

from asyncbridge.transport.checksums import NONE, choose, known


def test_crc32_is_always_there() -> None:
    """It is the standard library's; the check value is the published one."""
    assert known()["crc32"](b"123456789") == 0xCBF43926
    assert choose(["crc32"], sound=False) == "crc32"


def test_xxh3_is_taken_first_where_it_is_installed() -> None:
    """It is several times as fast; its value is that of the empty input."""
    pytest.importorskip("xxhash")
    assert next(iter(known())) == "xxh3"
    assert known()["xxh3"](b"") == 0x2D06800538D394C2


def test_the_first_that_both_have() -> None:
    """In the order of the side that offers; what nobody knows is passed over."""
    assert choose(["sha9", " crc32 ", "none"], sound=True) == "crc32"
    assert choose(["none", "crc32"], sound=True) == NONE
    assert choose(["sha9", ""], sound=True) is None


def test_no_checksum_only_where_bytes_are_safe() -> None:
    """A side that knows of no TLS does not go without, whatever the other one says."""
    assert choose(["none", "crc32"], sound=False) == "crc32"
    assert choose(["none"], sound=False) is None
    assert known()[NONE](b"abc") == 0
