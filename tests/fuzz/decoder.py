"""A program that feeds the decoders damaged values and frames, and says how they bore it.

Its inputs are the published vectors with bytes changed, cut and repeated, and with parts of their
trees exchanged; each one is a value or a ``DecodeError``. Run by ``test_decoder.py``, or by hand:
``python tests/fuzz/decoder.py 1000000 7``.
"""

from __future__ import annotations

import copy
import json
import random
import resource
import sys
import time
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

import asyncbridge
from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, unpack

VECTORS = Path(__file__).resolve().parents[1] / "vectors"
NUMBERS = (0, 1, -1, 2, 3, 7, 8, 255, 256, 65_536, 2**31, 2**32, 2**53, 2**63, -(2**63), 0.5, 1e308)


@asyncbridge.serializable(name="vectors.Point", version=3)
@dataclass
class Point:
    """The registered type of the vectors."""

    x: object
    y: object


class Fuzzer:
    """Makes inputs from seeds, and counts what becomes of them."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        values = json.loads((VECTORS / "values.json").read_text())
        frames = json.loads((VECTORS / "frames.json").read_text())
        self.values = [
            (row["header"], [bytes.fromhex(text) for text in row["buffers"]]) for row in values
        ]
        self.frames = [bytes.fromhex(row["frame"]) for row in frames]
        self.parts = [part for tree, _ in self.values for part in parts(tree)]
        self.counts = {"values": 0, "frames": 0, "sound": 0, "refused": 0}
        self.slowest = 0.0

    def step(self) -> None:
        """Try one input."""
        start = time.process_time()  # a shared machine stalls
        try:
            self.try_frame() if self.random.random() < 0.2 else self.try_value()
            self.counts["sound"] += 1
        except DecodeError:
            self.counts["refused"] += 1
        self.slowest = max(self.slowest, time.process_time() - start)

    def try_frame(self) -> None:
        """Unpack a damaged frame, and decode what it holds."""
        self.counts["frames"] += 1
        frame = self.damage(self.random.choice(self.frames))
        for message in unpack(frame if self.random.random() < 0.05 else sealed(frame)):
            payload = getattr(message, "value", None)
            if isinstance(payload, Payload):
                decode(payload)

    def try_value(self) -> None:
        """Decode a value whose tree or buffers are damaged."""
        self.counts["values"] += 1
        tree, buffers = self.random.choice(self.values)
        tree, buffers = copy.deepcopy(tree), list(buffers)
        for _ in range(self.random.randint(1, 3)):
            if buffers and self.random.random() < 0.4:
                place = self.random.randrange(len(buffers))
                buffers[place] = self.damage(buffers[place])
            elif self.random.random() < 0.3:
                tree = self.damage_text(tree)
            else:
                tree = self.exchange(tree)
        decode(Payload(header=tree, buffers=tuple(buffers)))

    def damage(self, raw: bytes) -> bytes:
        """Change, cut or repeat bytes."""
        made = bytearray(raw)
        place = self.random.randrange(len(made) + 1)
        way = self.random.randrange(4)
        if way == 0:
            del made[place:]
        elif way == 1:
            made[place:place] = self.random.randbytes(self.random.randint(1, 8))
        elif way == 2:
            made[place:place] = made[place : place + 16]
        elif made:
            made[place % len(made)] ^= 1 << self.random.randrange(8)
        return bytes(made)

    def damage_text(self, tree: object) -> object:
        """Change the text of a tree; one that is no JSON any more is left as it was."""
        try:
            return orjson.loads(self.damage(orjson.dumps(tree)))
        except (orjson.JSONDecodeError, orjson.JSONEncodeError):
            return tree

    def exchange(self, tree: Any) -> Any:
        """Put another vector's part, or a number, in the place of a part."""
        new: Any = self.random.choice(self.parts)
        if self.random.random() < 0.4:
            new = self.random.choice(NUMBERS)
        places = [part for part in parts(tree) if type(part) in (dict, list) and part]
        if not places:
            return copy.deepcopy(new)
        place = self.random.choice(places)
        key = self.random.choice(list(place) if type(place) is dict else range(len(place)))
        if self.random.random() < 0.15:
            del place[key]
        else:
            place[key] = copy.deepcopy(new)
        return tree


def sealed(frame: bytes) -> bytes:
    """Return a frame with the checksum that it should have, to get behind it."""
    return frame[:4] + zlib.crc32(frame[8:]).to_bytes(4, "little") + frame[8:]


def parts(tree: Any) -> list[Any]:
    """Return a tree's parts, itself first."""
    found = [tree]
    for part in found:
        if type(part) is dict:
            found.extend(part.values())
        elif type(part) is list:
            found.extend(part)
    return found


def peak() -> int:
    """Return the most bytes that this program had in memory.

    Not by ``getrusage``: on Linux that tells of the process it was forked from, if it was larger.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main(count: int, seed: int) -> None:
    """Try so many inputs; print what came of them, as JSON."""
    warnings.simplefilter("ignore")  # of pandas, about frequencies
    fuzzer = Fuzzer(seed)
    for number in range(count):
        try:
            fuzzer.step()
        except Exception:
            sys.stderr.write(f"it was input {number} of seed {seed}\n")
            raise
    sys.stdout.write(json.dumps({**fuzzer.counts, "slowest": fuzzer.slowest, "peak": peak()}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
