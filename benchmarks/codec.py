"""The codec beside its peers: the same values to bytes and back, in one process, turn by turn.

A peer that is not installed is left out, with a line that says so:
``pip install msgpack msgpack-numpy pyarrow``.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import orjson
from scipy import sparse

from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode
from benchmarks.measure import Figure, ratio

RoundTrip = Callable[[Any], object]


def measure(quick: bool) -> list[Figure]:
    """Compare round trips, then the wire's share of one-hot and the speed of sparse matrices."""
    times = 5 if quick else 25
    figures: list[Figure] = []
    for name, (value, repeat, wanted) in values().items():
        figures += compare(name, value, times, repeat, wanted)
    return [*figures, *one_hot(times), *compressed_rows(times, 10**6 if quick else 10**7)]


def values() -> dict[str, tuple[Any, int, str]]:
    """Return what is measured: the value, calls for one figure, and which peers carry it."""
    scalars = {
        f"key_{index}": (index, index / 7, f"text {index}", index % 2 == 0)[index % 4]
        for index in range(100)
    }
    small = [np.arange(8, dtype=np.float32) + index for index in range(1000)]
    large = np.random.default_rng(7).standard_normal(2**24).astype(np.float32)
    return {
        "dict of 100 scalars": (scalars, 300, "msgpack pickle pyarrow-rows"),
        "1,000 small arrays": (small, 5, "msgpack-numpy pickle pyarrow-lists"),
        "one array of 64 MiB": (large, 1, "msgpack-numpy pickle pyarrow-tensor"),
    }


def compare(name: str, value: Any, times: int, repeat: int, wanted: str) -> list[Figure]:
    """Time the codec and each peer that is here, in turn."""
    ways: dict[str, RoundTrip] = {"asyncbridge": ours}
    for peer in wanted.split():
        if missing := [part for part in NEEDS[peer] if find_spec(part) is None]:
            print(f"  {name}, {peer}: left out, for {', '.join(missing)} is not installed")
        else:
            ways[peer] = PEERS[peer]
    seconds = alternate(ways, value, times, repeat)
    own = seconds.pop("asyncbridge")
    figures = [Figure(name=f"{name}, asyncbridge", unit="s", values=tuple(own))]
    return figures + [
        ratio(f"{name}, asyncbridge / {peer}", own, theirs, bar=1.0)
        for peer, theirs in seconds.items()
    ]


def alternate(
    ways: dict[str, RoundTrip], value: Any, times: int, repeat: int
) -> dict[str, list[float]]:
    """Return the seconds of one round trip, by way: each way once, then each once more."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(value)
    for _ in range(times):
        for name, way in ways.items():
            start = time.perf_counter()
            for _ in range(repeat):
                way(value)
            seconds[name].append((time.perf_counter() - start) / repeat)
    return seconds


# --- the ways ----------------------------------------------------------------------------


def ours(value: Any) -> object:
    """Go through the header's bytes; the buffers stay where they are, as out of band."""
    payload = encode(value)
    header = orjson.loads(orjson.dumps(payload.header))
    return decode(Payload(header=header, buffers=payload.buffers))


def by_pickle(value: Any) -> object:
    """Pickle by protocol 5, with the buffers out of band."""
    buffers: list[pickle.PickleBuffer] = []
    raw = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return pickle.loads(raw, buffers=buffers)  # noqa: S301 - made in the line above


def by_msgpack(value: Any) -> object:
    """Go through msgpack."""
    msgpack: Any = import_module("msgpack")
    return msgpack.unpackb(msgpack.packb(value))


def by_msgpack_numpy(value: Any) -> object:
    """Go through msgpack with the hooks of msgpack-numpy."""
    msgpack: Any = import_module("msgpack")
    hooks: Any = import_module("msgpack_numpy")
    raw = msgpack.packb(value, default=hooks.encode)
    return msgpack.unpackb(raw, object_hook=hooks.decode)


def by_arrow_rows(value: Any) -> object:
    """Go through a table of one row."""
    return read_stream(write_stream(import_module("pyarrow").table({k: [v] for k, v in value.items()}))).to_pylist()  # fmt: skip


def by_arrow_lists(value: Any) -> object:
    """Go through a column whose rows are the arrays."""
    pa: Any = import_module("pyarrow")
    lengths = np.cumsum([0, *map(len, value)], dtype=np.int32)
    column = pa.ListArray.from_arrays(lengths, pa.array(np.concatenate(value)))
    table = read_stream(write_stream(pa.table({"arrays": column})))
    return [row.values.to_numpy() for row in table["arrays"]]


def by_arrow_tensor(value: Any) -> object:
    """Go through Arrow's own form of a tensor."""
    pa: Any = import_module("pyarrow")
    sink = pa.BufferOutputStream()
    pa.ipc.write_tensor(pa.Tensor.from_numpy(value), sink)
    return pa.ipc.read_tensor(pa.BufferReader(sink.getvalue())).to_numpy()


def write_stream(table: Any) -> Any:
    """Return a table as an IPC stream."""
    pa: Any = import_module("pyarrow")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def read_stream(raw: Any) -> Any:
    """Return the table of an IPC stream."""
    return import_module("pyarrow").ipc.open_stream(raw).read_all()


PEERS: dict[str, RoundTrip] = {
    "pickle": by_pickle,
    "msgpack": by_msgpack,
    "msgpack-numpy": by_msgpack_numpy,
    "pyarrow-rows": by_arrow_rows,
    "pyarrow-lists": by_arrow_lists,
    "pyarrow-tensor": by_arrow_tensor,
}
NEEDS: dict[str, tuple[str, ...]] = {
    "pickle": (),
    "msgpack": ("msgpack",),
    "msgpack-numpy": ("msgpack", "msgpack_numpy"),
    "pyarrow-rows": ("pyarrow",),
    "pyarrow-lists": ("pyarrow",),
    "pyarrow-tensor": ("pyarrow",),
}

# --- matrices ----------------------------------------------------------------------------


def one_hot(times: int) -> list[Figure]:
    """Measure a one-hot matrix's share of its dense bytes, and what looking for one costs."""
    rows = np.arange(60_000)
    matrix = np.zeros((60_000, 1000), np.float32)
    matrix[rows, rows * 7919 % 1000] = 1
    payload = encode(matrix)
    dense = np.random.default_rng(7).random((60_000, 1000), dtype=np.float32)
    ways: dict[str, RoundTrip] = {
        "with": encode,
        "without": lambda value: encode(value, one_hot=False),
    }
    seconds = alternate(ways, dense, times, 1000)
    extra = [1e6 * (a - b) for a, b in zip(seconds["with"], seconds["without"], strict=True)]
    share = payload.size / matrix.nbytes
    return [
        Figure(name="one-hot 60,000 x 1,000, wire / dense", unit="", values=(share,), bar=0.01),
        Figure(name="a dense one looked at for ones", unit="µs", values=tuple(extra)),
        *against_copy("one-hot 60,000 x 1,000", matrix, [matrix], times, bar=None),
    ]


def compressed_rows(times: int, count: int) -> list[Figure]:
    """Measure a sparse matrix of 10^6 x 10^5 against copies of its parts."""
    random = np.random.default_rng(7)
    starts = np.linspace(0, count, 10**6 + 1).astype(np.int32)
    columns = random.integers(0, 10**5, count, dtype=np.int32)
    data = random.random(count, dtype=np.float32)
    matrix = sparse.csr_matrix((data, columns, starts), shape=(10**6, 10**5))
    parts = [matrix.data, matrix.indices, matrix.indptr]
    return against_copy(f"csr of {count:.0e} values", matrix, parts, times, bar=1 / 0.3)


def against_copy(
    name: str, value: Any, parts: list[Any], times: int, bar: float | None
) -> list[Figure]:
    """Time a round trip whose buffers are copied once, against a copy of the parts."""
    copies = [np.empty_like(part) for part in parts]
    kept: dict[int, bytearray] = {}

    def copied(value: Any) -> object:
        payload = encode(value)
        buffers = []
        for place, buffer in enumerate(payload.buffers):
            raw = np.frombuffer(memoryview(buffer), np.uint8)  # type: ignore[arg-type]  # no BulkRef
            if place not in kept:
                kept[place] = bytearray(len(raw))
            target = kept[place]
            np.copyto(np.frombuffer(target, np.uint8), raw)
            buffers.append(target)
        header = orjson.loads(orjson.dumps(payload.header))
        return decode(Payload(header=header, buffers=tuple(buffers)))

    def copy(value: Any) -> None:
        for target, part in zip(copies, parts, strict=True):
            np.copyto(target, part)

    seconds = alternate({"ours": copied, "copyto": copy}, value, times, 1)
    return [ratio(f"{name}, there and back / copyto", seconds["ours"], seconds["copyto"], bar=bar)]
