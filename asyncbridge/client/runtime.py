"""What a bridge needs once it is open, as one import that can be made off the loop."""

from __future__ import annotations

from asyncbridge.client.awaiting import Awaiting, passing_on
from asyncbridge.client.decisions import write_decision
from asyncbridge.client.drafts import write_bindings
from asyncbridge.client.handing import Handing
from asyncbridge.client.held import Held, lost_to
from asyncbridge.client.naming import command_behind, dependencies
from asyncbridge.client.pending import Pending
from asyncbridge.client.references import References
from asyncbridge.client.session import Session
from asyncbridge.client.words import origin
from asyncbridge.codegen import call, check_identifier, random_name, render, ship
from asyncbridge.codegen.needs import needs_of
from asyncbridge.transport.arena import open_arena

__all__ = [
    "Awaiting",
    "Handing",
    "Held",
    "Pending",
    "References",
    "Session",
    "call",
    "check_identifier",
    "command_behind",
    "dependencies",
    "lost_to",
    "needs_of",
    "open_arena",
    "origin",
    "passing_on",
    "random_name",
    "render",
    "ship",
    "write_bindings",
    "write_decision",
]
