"""Files that a client named: opened only if they are what it saw."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from asyncbridge.errors import DecodeError
from asyncbridge.serialization.files import FileArray, by_path
from asyncbridge.worker.files import open_array

pytestmark = pytest.mark.usefixtures("no_leaks")


@pytest.fixture
def described(tmp_path: Path) -> FileArray:
    """An array of 3,000 numbers in a file."""
    path = tmp_path / "x.npy"
    np.save(path, np.arange(3000))
    return by_path(np.load(path, mmap_mode="r"))


def test_it_is_mapped(described: FileArray) -> None:
    """Read-only, from where it begins, and the file is closed with its last array."""
    array = open_array(described)
    assert array[5:].sum() == sum(range(5, 3000))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1


def test_a_file_that_was_replaced(described: FileArray) -> None:
    """Even by one with the same bytes."""
    path = Path(described.path)
    data = path.read_bytes()
    path.rename(path.with_name("old"))
    path.write_bytes(data)
    with pytest.raises(DecodeError, match=r"x\.npy is another file than the one .* replaced"):
        open_array(described)


@pytest.mark.parametrize("size", [0, 100, 30_000])
def test_a_file_of_another_size(described: FileArray, size: int) -> None:
    """It was cut short, or has grown since."""
    os.truncate(described.path, size)
    with pytest.raises(DecodeError, match=f"has {size} bytes, and had {described.size}"):
        open_array(described)


def test_what_is_no_file(described: FileArray, tmp_path: Path) -> None:
    """A link, a folder, a pipe (which is not waited for), or nothing."""
    (tmp_path / "link").symlink_to(described.path)
    os.mkfifo(tmp_path / "pipe")
    for name, text in [
        ("link", "cannot open"), ("", "no regular file"), ("pipe", "no regular file"),
        ("none", "cannot open .*No such file"),
    ]:  # fmt: skip
        path = str(tmp_path / name).rstrip("/")
        with pytest.raises(DecodeError, match=text):
            open_array(replace(described, path=path))


def test_what_numpy_refuses(described: FileArray) -> None:
    """Sizes that no array has."""
    wrong: Any = replace(described, shape=(2**62, 2**62, 1), strides=(0, 0, 8))
    with pytest.raises(DecodeError, match="cannot be an array"):
        open_array(wrong)
