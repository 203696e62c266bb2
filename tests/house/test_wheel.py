"""The wheel that is built from the sdist holds what the repository holds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("asyncbridge", "models", "serialization")
PROJECT_FILES = ("pyproject.toml", "LICENSE", "README.md")

pytestmark = pytest.mark.slow


def copy_sources(target: Path) -> None:
    """Copy what is built from, symlinks as they are: a build leaves folders behind."""
    for folder in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / folder, target / folder, symlinks=True, ignore=ignored)
    for name in PROJECT_FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, target / name)


def run(*arguments: str, cwd: Path) -> str:
    """Run this Python elsewhere, with nothing of the checkout on its path, unmeasured."""
    environment = {
        key: value
        for key, value in os.environ.items()
        if key != "PYTHONPATH" and not key.startswith("COVERAGE_")
    }
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build an sdist, and a wheel from that sdist, with no network."""
    source = tmp_path_factory.mktemp("source")
    copy_sources(source)
    run("-m", "build", "--no-isolation", "--outdir", str(source / "dist"), ".", cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


def test_every_source_file_is_in_the_wheel(wheel: Path) -> None:
    """Each .py file of the three folders is there under its import name, and what is no code."""
    expected = {"asyncbridge/py.typed", "asyncbridge/worker/openapi.json"}
    for path in (ROOT / "asyncbridge").rglob("*.py"):
        expected.add(path.relative_to(ROOT).as_posix())
    for room in ("models", "serialization"):
        paths = (path.relative_to(ROOT).as_posix() for path in (ROOT / room).rglob("*.py"))
        expected |= {f"asyncbridge/{path}" for path in paths}
    names = zipfile.ZipFile(wheel).namelist()
    assert {name for name in names if ".dist-info/" not in name} == expected
    assert len(names) == len(set(names))


def test_the_installed_wheel_imports(wheel: Path, tmp_path: Path) -> None:
    """Both rooms come from the wheel, from any folder, and the version is known."""
    target = tmp_path / "site"
    pip = ("-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    run(*pip, "--no-index", "--target", str(target), str(wheel), cwd=tmp_path)
    code = (
        f"import sys; sys.path.insert(0, {str(target)!r})\n"
        "import asyncbridge.models, asyncbridge.serialization, importlib.metadata\n"
        "print(asyncbridge.models.__file__, asyncbridge.serialization.__file__)\n"
        "print(importlib.metadata.version('asyncbridge-keras'), asyncbridge.__version__)\n"
    )
    files, versions = run("-I", "-c", code, cwd=tmp_path).splitlines()
    assert all(Path(name).is_relative_to(target) for name in files.split())
    assert len(set(versions.split())) == 1
