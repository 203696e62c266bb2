"""Decoding is inert: what a peer sends is looked up, never run, opened or imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "values.json"

HOSTILE: list[object] = [
    {"$": "os.system", "v": ["true"]},
    {"$": "builtins.eval", "v": ["1"]},
    {"$": "__reduce__", "v": ["os.system", ["true"]]},
    {"$": "tuple", "v": [{"$": "import", "v": "this"}]},
    {"$": "array", "t": "O", "s": [1], "o": "C", "b": 0},
    {"$": "array", "t": "os.system", "s": [], "o": "C", "b": 0},
    {"$": "array", "t": "antigravity", "s": [], "o": "C", "b": 0},
    {"$": "scalar", "t": "<M8[antigravity]", "v": ""},
    {"$": "registered", "n": "os.system", "e": 1, "v": "true"},
    {"$": "zone", "v": "../../../../etc/passwd"},
    {"$": "zone", "v": "/etc/passwd"},
    {"$": "zone", "v": "this.antigravity"},
    {"$": "path", "k": "open", "v": "/etc/passwd"},
    {"$": "same", "n": 0},
    {"$": "sparse", "v": ["os.system", [1], 2, 3]},
    {"$": "masked", "v": ["os.system", None, None, False]},
    {"$": "set", "v": [[1]]},
    {"$": "dict", "v": [{}, 1]},
]

AUDIT = """
import json, sys
from pathlib import Path
from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
import collections, zoneinfo
import ml_dtypes, numpy.ma, scipy.sparse
import asyncbridge.serialization.dataframes, asyncbridge.serialization.sparse
import asyncbridge
from asyncbridge.serialization import decode, unpack

asyncbridge.serializable(name="vectors.Point", version=3)(collections.namedtuple("Point", "x y"))
zoneinfo.ZoneInfo("Europe/Berlin")

trees = json.loads(Path(sys.argv[1]).read_text())
frames = [bytes.fromhex(text) for text in json.loads(sys.argv[2])]
events = []
watching = False
sys.addaudithook(lambda event, arguments: events.append(event) if watching else None)
watching = True
compile("1", "", "eval")
watching = False
assert "compile" in events, "the hook sees nothing"
events.clear()
values = failures = messages = 0
watching = True
for row in trees:
    buffers = tuple(map(bytes.fromhex, row["buffers"]))
    try:
        decode(Payload(header=row["header"], buffers=buffers))
        values += 1
    except DecodeError:
        failures += 1
for frame in frames:
    messages += len(unpack(frame))
watching = False
print(json.dumps([values, failures, messages, sorted(set(events))]))
"""


def test_decoding_runs_opens_and_imports_nothing(tmp_path: Path) -> None:
    """The interpreter reports no import, open, exec, compile or other event while decoding.

    What a form needs is there already: the rules of a time zone that was used before, and the
    packages of the values that come.
    """
    trees = json.loads(VECTORS.read_text())
    rows = trees + [{"header": tree, "buffers": []} for tree in HOSTILE]
    source = tmp_path / "trees.json"
    source.write_text(json.dumps(rows))
    frames = json.loads(VECTORS.with_name("frames.json").read_text())
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(source), json.dumps([row["frame"] for row in frames])],
        capture_output=True,
        text=True,
        check=False,
        cwd=VECTORS.parents[2],
    )
    assert done.returncode == 0, done.stderr
    values, failures, messages, events = json.loads(done.stdout)
    assert (values, failures) == (len(trees), len(HOSTILE))
    assert messages >= 19
    assert events == []
