"""What a bridge needs once it is open, as one import that can be made off the loop."""

from __future__ import annotations

from asyncbridge.client.pending import Pending, dependencies, origin
from asyncbridge.client.session import Session
from asyncbridge.codegen import call, check_identifier, random_name, render, ship
from asyncbridge.serialization.codec import draft
from asyncbridge.transport.arena import open_arena

__all__ = [
    "Pending",
    "Session",
    "call",
    "check_identifier",
    "dependencies",
    "draft",
    "open_arena",
    "origin",
    "random_name",
    "render",
    "ship",
]
