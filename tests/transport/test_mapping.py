"""Mapped files, and the end of what looks at them."""

from __future__ import annotations

import gc
import os
import weakref
from mmap import PAGESIZE
from pathlib import Path

import numpy as np
import pytest

from asyncbridge.transport.mapping import Mapping, let_go


def descriptors() -> set[str]:
    """Return this process's open descriptors, but for the listing's own."""
    return {path.name for path in Path("/proc/self/fd").iterdir() if path.exists()}


def mapped(folder: Path, size: int = 8192) -> tuple[Mapping, Path]:
    """Map a new file."""
    path = folder / "file"
    path.write_bytes(bytes(size))
    file = os.open(path, os.O_RDWR)
    try:
        return Mapping(file, size), path
    finally:
        os.close(file)


def test_it_is_the_files_memory(tmp_path: Path) -> None:
    """What is written there stands in the file, with no descriptor kept."""
    before = descriptors()
    mapping, path = mapped(tmp_path)
    assert descriptors() == before
    view = mapping.view(64, 4)
    view[:] = b"abcd"
    assert path.read_bytes()[60:70] == b"\0\0\0\0abcd\0\0"
    assert (view.nbytes, view.format, view.readonly) == (4, "B", False)


def test_a_view_outlives_its_mapping(tmp_path: Path) -> None:
    """The memory stays for as long as an array looks at it, file or no file."""
    mapping, path = mapped(tmp_path)
    alive = weakref.ref(mapping)
    array = np.frombuffer(mapping.view(0, 8192), np.uint8)
    del mapping
    path.unlink()
    assert alive() is not None
    assert array.sum() == 0
    del array
    assert alive() is None


def test_the_last_array_is_seen_to_go(tmp_path: Path) -> None:
    """Slices, and views of views, hold what is watched; and nothing else does."""
    mapping, _ = mapped(tmp_path)
    gone: list[str] = []

    def watch(raw: object) -> None:
        weakref.finalize(raw, gone.append, "gone")

    view = mapping.view(0, 4096, watch)
    whole = np.frombuffer(view, np.float32)
    part = whole.reshape(2, -1)[1, ::2]
    del view, whole
    gc.collect()
    assert gone == []
    del part
    assert gone == ["gone"]


def test_what_cannot_be_mapped(tmp_path: Path) -> None:
    """The system's reason is told."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(OSError, match="cannot map 8192 bytes"):
        Mapping(folder, 8192)
    os.close(folder)


@pytest.mark.parametrize("writable", [True, False])
def test_memory_is_given_back_before_its_array_is_freed(writable: bool) -> None:
    """Whole pages within it alone: what lies beside it stays as it is."""
    whole = np.ones(1024 * PAGESIZE, np.uint8)
    part = whole[PAGESIZE // 2 : -PAGESIZE // 2]
    part.flags.writeable = writable
    let_go(part.data)
    assert whole[: PAGESIZE // 2].all()
    assert whole[-PAGESIZE // 2 :].all()
    assert np.count_nonzero(part) < 2 * PAGESIZE
