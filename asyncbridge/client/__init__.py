"""The client: bridges, sessions, and the launcher of local workers."""

from __future__ import annotations

from asyncbridge.client.bridge import Bridge
from asyncbridge.client.connect import connect
from asyncbridge.client.current import current_bridge
from asyncbridge.client.halts import Halt
from asyncbridge.client.info import WorkerInfo
from asyncbridge.client.inventory import BindingInfo, DeviceMemory, MemoryInfo
from asyncbridge.client.options import AUTO, Auto, Options
from asyncbridge.client.output import OutputReader
from asyncbridge.client.recycle import Recycle
from asyncbridge.client.recycling import Recycled
from asyncbridge.client.restarts import Restart
from asyncbridge.client.scopes import Scope
from asyncbridge.client.standing import CommandInfo
from asyncbridge.client.states import StateReader
from asyncbridge.promise import OutputLine
from asyncbridge.protocol.holdings import HeldCommand

__all__ = [  # noqa: RUF022 - grouped by what they are
    # opening
    "AUTO",
    "Auto",
    "Options",
    "Recycle",
    "Restart",
    "connect",
    # the handle
    "Bridge",
    "current_bridge",
    "Scope",
    # what it tells
    "BindingInfo",
    "CommandInfo",
    "DeviceMemory",
    "HeldCommand",
    "Halt",
    "OutputLine",
    "MemoryInfo",
    "OutputReader",
    "Recycled",
    "StateReader",
    "WorkerInfo",
]
