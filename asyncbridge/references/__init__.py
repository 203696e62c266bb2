"""Objects in the worker, seen from the client: references, and code that is made of them."""

from __future__ import annotations

from asyncbridge.references.binding import Binding
from asyncbridge.references.expression import RemoteExpression
from asyncbridge.references.module import RemoteModule
from asyncbridge.references.promised import PromisedValue
from asyncbridge.references.ref import Ref, Residence
from asyncbridge.references.remote import Remote

__all__ = [
    "Binding",
    "PromisedValue",
    "Ref",
    "Remote",
    "RemoteExpression",
    "RemoteModule",
    "Residence",
]
