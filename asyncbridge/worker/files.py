"""Arrays that a client names by the path of their file: mapped here, read-only or copy-on-write."""

from __future__ import annotations

import mmap
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from asyncbridge.errors import DecodeError

if TYPE_CHECKING:
    from asyncbridge.serialization.files import FileArray

__all__ = ["open_array"]

# Not blocking: another thing may stand there by now, such as a pipe.
_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def open_array(described: FileArray) -> np.ndarray[Any, Any]:
    """Map an array that the client has in a file.

    Raises:
        DecodeError: The file is not the one that the client saw, or cannot be mapped.
    """
    try:
        file = os.open(described.path, _FLAGS)
    except OSError as error:
        raise DecodeError(f"the worker cannot open {described.path}: {error.strerror}") from None
    try:
        _check_same(file, described)
        return _mapped(file, described)
    except OSError as error:
        raise DecodeError(f"the worker cannot map {described.path}: {error.strerror}") from None
    finally:
        os.close(file)


def _check_same(file: int, described: FileArray) -> None:
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode):
        raise DecodeError(f"{described.path} is no regular file")
    if (status.st_dev, status.st_ino) != (described.device, described.inode):
        raise DecodeError(
            f"{described.path} is another file than the one that by_path() saw: it was replaced, "
            "or the worker sees other disks; map it anew, or send the elements"
        )
    if status.st_size != described.size:
        raise DecodeError(
            f"{described.path} has {status.st_size} bytes, and had {described.size} when by_path() "
            "saw it: map it anew"
        )


def _mapped(file: int, described: FileArray) -> np.ndarray[Any, Any]:
    low, high = described.extent
    begin = low - low % mmap.ALLOCATIONGRANULARITY
    access = mmap.ACCESS_COPY if described.writable else mmap.ACCESS_READ
    memory = mmap.mmap(file, high - begin, access=access, offset=begin)
    try:
        return np.ndarray(
            described.shape,
            described.dtype,
            memory,
            offset=described.offset - begin,
            strides=described.strides,
        )
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"{described.path} cannot be an array: {error}") from None
