"""What a bridge needs once it is open, as one import that can be made off the loop."""

from __future__ import annotations

from asyncbridge.client.pending import Pending, dependencies, origin
from asyncbridge.client.session import Session
from asyncbridge.client.snapshots import snapshot
from asyncbridge.client.weights import check_weight
from asyncbridge.codegen import call, check_identifier, random_name, render, ship
from asyncbridge.serialization.codec import draft, encode
from asyncbridge.transport.arena import open_arena

__all__ = [
    "Pending",
    "Session",
    "call",
    "check_identifier",
    "check_weight",
    "dependencies",
    "draft",
    "encode",
    "open_arena",
    "origin",
    "random_name",
    "render",
    "ship",
    "snapshot",
]
