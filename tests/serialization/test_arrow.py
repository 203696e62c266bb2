from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.protocol.messages import Payload
from asyncbridge.serialization import decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable

pa: Any = pytest.importorskip("pyarrow")


def table() -> Any:
    """Make a table with several kinds of columns, in two chunks, with metadata."""
    columns = {
        "number": pa.array([1, None, 3], pa.int16()),
        "text": pa.array(["a", None, "\u00e9"]),
        "list": pa.array([[1], None, []], pa.list_(pa.int8())),
        "choice": pa.array(["x", "y", "x"]).dictionary_encode(),
    }
    half = pa.table(columns).replace_schema_metadata({"k": "v"})
    return pa.concat_tables([half, half])


def test_a_table_comes_back_exact(wire: Callable[[object], Any]) -> None:
    """Schema, metadata, nulls and chunks."""
    back = wire([table()])[0]
    assert back.equals(table(), check_metadata=True)
    assert back["text"].num_chunks == 2
    batch = table().to_batches()[0]
    assert wire(batch).equals(batch, check_metadata=True)


def test_damaged_bytes_are_an_error_or_a_valid_table() -> None:
    """Whatever byte is changed, nothing invalid comes out."""
    payload = encode(table())
    (raw,) = payload.buffers
    random = np.random.default_rng(7)
    header = {"$": "arrow-table", "v": {"$": "memoryview", "b": 0, "w": False}}
    for _ in range(200):
        damaged = bytearray(memoryview(raw))  # type: ignore[arg-type]  # encode makes no BulkRef
        damaged[random.integers(len(damaged))] ^= 1 << int(random.integers(8))
        try:
            decode(Payload(header=header, buffers=(bytes(damaged),)))
        except DecodeError:
            continue


@pytest.mark.parametrize("tag", ["arrow-table", "arrow-batch"])
@pytest.mark.parametrize("data", [None, [], "x"])
def test_other_parts_are_refused(tag: str, data: object) -> None:
    """Anything but bytes is no table."""
    with pytest.raises(DecodeError, match="a view of bytes"):
        decode(Payload(header={"$": tag, "v": data}))
