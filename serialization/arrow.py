"""Tables and record batches of pyarrow, as the stream of Arrow's own format."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

from asyncbridge.serialization.registry import Entry, Unfit, own
from asyncbridge.serialization.walk import malformed

pa: Any = import_module("pyarrow")  # untyped, and not installed for development

_BYTES: Final = 64
"""Bytes that count as one: they are copied, and few tables are small and take long."""


def _take_table(value: Any) -> object:
    for field in value.schema:
        if isinstance(field.type, pa.BaseExtensionType):
            raise Unfit(f"a column of the extension type {field.type} has no wire form; cast it")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, value.schema) as writer:
        writer.write(value)
    # Arrow calls its bytes signed.
    return memoryview(sink.getvalue()).cast("B")


def _weigh(value: Any) -> int:
    return int(value.nbytes // _BYTES)


def _put_table(data: object) -> Any:
    with _open(data, "arrow-table") as reader:
        table = reader.read_all()
    # Offsets and lengths inside are checked by nobody else.
    table.validate(full=True)
    return table


def _put_batch(data: object) -> Any:
    with _open(data, "arrow-batch") as reader:
        batches = list(reader)
    if len(batches) != 1:
        malformed("arrow-batch", "one batch")
    batches[0].validate(full=True)
    return batches[0]


def _open(data: object, tag: str) -> Any:
    if type(data) is not memoryview:
        malformed(tag, "a view of bytes")
    return pa.ipc.open_stream(pa.py_buffer(data))


ENTRIES: Final[tuple[Entry, ...]] = (
    own(pa.Table, "arrow-table", _take_table, _put_table, weigh=_weigh),
    own(pa.RecordBatch, "arrow-batch", _take_table, _put_batch, weigh=_weigh),
)
