"""Arrays that the other side maps from a file itself: only what says where they are travels.

They go to the worker alone, on this machine: a peer never makes the app open a path.
"""

from __future__ import annotations

import mmap
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.dtypes import Array, DType, describe, read_dtype, read_shape
from asyncbridge.serialization.values import decode_str, encode_str
from asyncbridge.serialization.walk import TAG, Encoder, Form, Refused, Sink, Sources, malformed

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FileArray", "by_path"]

MEMMAP_ADVICE: Final = (
    "object of type memmap has no wire form; send numpy.asarray(value) to send its elements, or "
    "asyncbridge.by_path(value) to have the worker map the file itself"
)
ELSEWHERE: Final = (
    "an array by path goes to a worker on this machine alone, and this one has not shown that it "
    "is; send numpy.asarray(value) to send the elements"
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FileArray:
    """An array in a file, as ``by_path`` makes it.

    Attributes:
        path: The file, from the root on.
        device: The device that it is on, as the system numbers it.
        inode: Its number there.
        size: Its bytes.
        offset: Where in it the first element begins.
        dtype: What the elements are, as they lie in the file.
        shape: The array's.
        strides: Bytes from one element to the next in each dimension.
        writable: Whether the worker may write to its array; the file stays as it is.
    """

    path: str
    device: int
    inode: int
    size: int
    offset: int
    dtype: DType
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    writable: bool = False

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def extent(self) -> tuple[int, int]:
        """Where in the file its elements begin and end."""
        steps = [
            (length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True)
        ]
        low = self.offset + sum(step for step in steps if step < 0)
        high = self.offset + sum(step for step in steps if step > 0) + self.dtype.itemsize
        return low, high

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("an array without dimensions has no length")
        return self.shape[0]


def by_path(array: Array, *, writable: bool = False) -> FileArray:
    """Have the worker map an array's file itself, in the place of sending its elements.

    For an ``np.memmap``, what ``np.load(..., mmap_mode="r")`` gives, and any view of them. The
    worker must be on this machine, and see the file under the same path; it gets a plain array.
    The file must not be cut short while the worker has it: that kills the worker.

    Args:
        array: The array, which has at least one element.
        writable: Whether code in the worker may write to its array. What it writes is seen
            there alone; the file stays as it is.

    Raises:
        OSError: The file is not there any more.
        TypeError: It is no array in a mapped file, or its dtype has no wire form.
        ValueError: It is empty, or mapped copy-on-write, or the file is none that can be mapped
            by its path.
    """
    mapped = _map_of(array)
    if describe(array.dtype) is None:
        raise TypeError(f"an array of dtype {array.dtype} cannot be mapped in another process")
    if array.size == 0:
        raise ValueError("an empty array has nothing to be mapped: send it as it is")
    path = os.path.realpath(str(mapped.filename))
    status = Path(path).stat()
    made = FileArray(
        path=path,
        device=status.st_dev,
        inode=status.st_ino,
        size=status.st_size,
        offset=_offset_in_file(array, mapped),
        dtype=array.dtype,
        shape=array.shape,
        strides=array.strides,
        writable=writable,
    )
    is_same = stat.S_ISREG(status.st_mode) and _is_mapping_of(mapped.base, path)
    if not is_same or made.extent[1] > made.size:
        raise ValueError(
            f"{path} is not the file that the array was mapped from, or was cut short: load it anew"
        )
    return made


def _map_of(array: object) -> Any:
    """Return the memmap that an array is a view of."""
    link, mapped = array, None
    while isinstance(link, np.ndarray):
        mapped, link = link, link.base
    if not isinstance(mapped, np.memmap) or not isinstance(link, mmap.mmap):
        raise TypeError(
            f"by_path() takes an np.memmap, or a view of one, not this {type(array).__name__}: "
            "write the array with numpy.save() and load it with mmap_mode='r'"
        )
    if mapped.filename is None:
        raise ValueError("the array was mapped from a file without a name")
    if mapped.mode == "c":
        raise ValueError(
            "the array is mapped copy-on-write: what was written to it is not in the file; map it "
            "with mode 'r', and pass writable=True for a worker that writes"
        )
    return mapped


def _offset_in_file(array: Array, mapped: Any) -> int:
    # The memmap's own offset is that of its first element, and stays so for its views.
    begin = mapped.offset - mapped.offset % mmap.ALLOCATIONGRANULARITY
    return int(array.ctypes.data - _address(mapped.base) + begin)


def _address(mapping: mmap.mmap) -> int:
    return int(np.frombuffer(mapping, np.uint8).ctypes.data)


def _is_mapping_of(mapping: mmap.mmap, path: str) -> bool:
    """Tell whether a path still leads to the file of a mapping; where that is unknown, it does.

    A file that was written anew, and renamed to the old one's name, leaves the mapping as it was.
    What is compared is what the system calls the files of two mappings: its word of a mapping and
    of a path differ on some file systems.
    """
    with Path(path).open("rb") as file:
        now = mmap.mmap(file.fileno(), 1, access=mmap.ACCESS_READ)
    with now:
        return _file_at(_address(mapping)) == _file_at(_address(now))


def _file_at(address: int) -> tuple[str, str] | None:
    """Return what the system calls the file that is mapped at an address."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        span, _, _, device, inode, *_ = line.split(maxsplit=5)
        low, _, high = span.partition("-")
        if int(low, 16) <= address < int(high, 16):
            return device, inode
    return None


# --- the wire ----------------------------------------------------------------------------


def _encode_file(value: FileArray, buffers: Sink, depth: int) -> object:
    if not buffers.files:
        raise Refused(value, ELSEWHERE, depth)
    known = buffers.known(value)
    if known is not None:
        return known
    tree = {
        TAG: "file",
        "p": encode_str(value.path, buffers, depth),
        "i": [value.device, value.inode, value.size],
        "n": value.offset,
        "t": describe(value.dtype),
        "s": list(value.shape),
        "r": list(value.strides),
        "w": value.writable,
    }
    buffers.remember(value)
    return tree


def _decode_file(body: dict[str, object], sources: Sources, depth: int) -> object:
    if sources.files is None:
        raise DecodeError("an array by path came: only a worker takes those, from its client")
    shape = tuple(read_shape(body["s"], "file"))
    described = FileArray(
        path=_read_path(body["p"], sources, depth),
        **dict(zip(("device", "inode", "size"), _read_numbers(body["i"], 3), strict=True)),
        offset=_read_numbers([body["n"]], 1)[0],
        dtype=read_dtype(body["t"], "file"),
        shape=shape,
        strides=tuple(_read_numbers(body["r"], len(shape))),
        writable=body["w"] is True,
    )
    low, high = described.extent
    if 0 in shape or low < 0 or high > described.size:
        malformed("file", f"elements within its {described.size} bytes")
    array = sources.files(described)
    sources.remember(array)
    return array


def _read_path(tree: object, sources: Sources, depth: int) -> str:
    if type(tree) is dict and tree.keys() == _TEXT_KEYS and tree[TAG] == "str":
        tree = decode_str(tree, sources, depth)
    if type(tree) is not str or not tree.startswith("/") or "\0" in tree:
        malformed("file", "a path from the root on")
    return tree


def _read_numbers(numbers: object, count: int) -> list[int]:
    if type(numbers) is not list or len(numbers) != count:
        malformed("file", f"{count} integers")
    if any(type(number) is not int for number in numbers):
        malformed("file", "integers")
    return numbers


_TEXT_KEYS: Final = frozenset((TAG, "b"))
ENCODERS: Final[Mapping[type, Encoder]] = {FileArray: _encode_file}
FORMS: Final[Mapping[str, Form]] = {
    "file": (frozenset((TAG, "p", "i", "n", "t", "s", "r", "w")), _decode_file),
}
