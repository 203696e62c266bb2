"""What a worker's process makes of its config; the rest is tested with whole workers."""

from __future__ import annotations

import pytest

from asyncbridge.worker.service import LOOPBACK, hosts_of

LOCAL = {"localhost", "127.0.0.1", "[::1]"}


@pytest.mark.parametrize(
    ("host", "names", "hosts"),
    [
        (None, [], {"asyncbridge"}),
        (None, ["gpu.example"], {"asyncbridge", "gpu.example"}),
        (None, ["localhost"], {"asyncbridge", *LOCAL}),
        ("127.0.0.1", [], LOCAL),
        ("::1", [], LOCAL),
        ("0.0.0.0", ["gpu.example"], {"0.0.0.0", "gpu.example"}),
        ("gpu.example", ["fe80::7"], {"gpu.example", "[fe80::7]"}),
    ],
)
def test_what_a_worker_is_called(host: str | None, names: list[str], hosts: set[str]) -> None:
    """As a Host header has it, with no port; one name of loopback stands for all."""
    assert hosts_of({"host": host, "names": names}) == hosts
    assert {name.strip("[]") for name in LOCAL} == LOOPBACK
