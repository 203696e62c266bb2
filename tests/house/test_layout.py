"""The folders at the top, the names that they are imported under, and what pyproject says."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS_AT_THE_TOP = ("models", "serialization")


def pyproject() -> dict[str, dict[str, dict[str, list[str] | dict[str, str]]]]:
    """Read pyproject.toml (typed as far as ``tool.setuptools`` is read here)."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def packages_on_disk() -> set[str]:
    """Name every folder of Python files under asyncbridge/, symlinked ones included."""
    return {
        ".".join(Path(folder).relative_to(ROOT).parts)
        for folder, _, files in os.walk(ROOT / "asyncbridge", followlinks=True)
        if any(name.endswith(".py") for name in files)
    }


def test_the_package_list_is_the_disk() -> None:
    """A package that pyproject does not list would vanish from the wheel in silence."""
    listed = pyproject()["tool"]["setuptools"]["packages"]
    assert sorted(listed) == sorted(packages_on_disk())


@pytest.mark.parametrize("room", ROOMS_AT_THE_TOP)
def test_the_mapping_names_the_folder(room: str) -> None:
    """What is built takes each room from the folder at the top."""
    mapping = pyproject()["tool"]["setuptools"]["package-dir"]
    assert isinstance(mapping, dict)
    assert mapping[f"asyncbridge.{room}"] == room


def test_serialization_is_flat() -> None:
    """It holds files alone; models/ has a folder for each namespace of Keras that holds others."""
    folders = [path for path in (ROOT / "serialization").iterdir() if path.is_dir()]
    assert [path.name for path in folders if path.name != "__pycache__"] == []


@pytest.mark.parametrize("room", ROOMS_AT_THE_TOP)
def test_the_symlink_is_relative(room: str) -> None:
    """The committed symlink is right in any checkout."""
    assert (ROOT / "asyncbridge" / room).readlink() == Path("..") / room


@pytest.mark.parametrize("room", ROOMS_AT_THE_TOP)
def test_a_room_refuses_its_bare_name(room: str) -> None:
    """With the root on sys.path, ``import models`` says which name is meant."""
    done = subprocess.run(
        [sys.executable, "-c", f"import {room}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert f"ImportError: this folder is imported as 'asyncbridge.{room}'" in done.stderr


@pytest.mark.parametrize("room", ROOMS_AT_THE_TOP)
def test_a_room_is_imported_under_its_true_name(room: str) -> None:
    """The true name works, and its files are those at the top."""
    module = __import__(f"asyncbridge.{room}", fromlist=["__file__"])
    assert module.__name__ == f"asyncbridge.{room}"
    assert Path(str(module.__file__)).resolve() == ROOT / room / "__init__.py"
