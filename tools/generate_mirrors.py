"""Write the rooms of ``models/`` from the installed Keras, or check that they are its own.

``python tools/generate_mirrors.py`` writes them, ``--check`` compares and writes nothing. Keras
is read in a worker; this process never imports it.
"""

from __future__ import annotations

import argparse
import difflib
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tools.rooms import make_rooms
from tools.surface import Surface, read_surface
from tools.writer import MARK, Writer

ROOT = Path(__file__).resolve().parent.parent

DIFF_LINES = 200
"""How many lines of a difference are shown."""


def main(arguments: list[str] | None = None) -> int:
    """Generate; return 1 when ``--check`` found a difference."""
    parser = argparse.ArgumentParser(description="Generate the mirrors of Keras in models/.")
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    check = parser.parse_args(arguments).check
    files = formatted(render(read_surface()))
    present = generated(ROOT / "models")
    difference = compare(present, files)
    if check:
        shown = difference[:DIFF_LINES]
        sys.stdout.writelines(shown)
        if len(shown) < len(difference):
            print(f"... and {len(difference) - len(shown)} lines more")
        return 1 if difference else 0
    write(files, present)
    print(f"{len(files)} files, {sum(text.count(chr(10)) for text in files.values())} lines")
    return 0


def render(surface: Surface) -> dict[str, str]:
    """Return each room's text, by its path below ``models/``."""
    rooms = make_rooms(surface)
    writer = Writer(surface, rooms)
    return {str(room.file): writer.text(room) for room in rooms.values()}


def formatted(files: dict[str, str]) -> dict[str, str]:
    """Return the files as ruff lays them out, by the repository's settings."""
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "models"
        write(files, {}, base)
        settings = ["--config", str(ROOT / "pyproject.toml"), "--quiet", "--no-cache", folder]
        order = ["--select", "I001,RUF022", "--fix-only"]
        ruff("check", *order, *settings)
        ruff("format", *settings)
        return {name: (base / name).read_text(encoding="utf-8") for name in files}


def ruff(*arguments: str) -> None:
    """Run ruff; its complaints end the program."""
    subprocess.run([sys.executable, "-m", "ruff", *arguments], check=True)  # noqa: S603 - ours


def generated(base: Path) -> dict[str, str]:
    """Read the generated files that are there, by their path below the folder."""
    found = {path: path.read_text(encoding="utf-8") for path in sorted(base.rglob("*.py"))}
    return {path.relative_to(base).as_posix(): text for path, text in found.items() if MARK in text}


def compare(present: dict[str, str], files: dict[str, str]) -> list[str]:
    """Return the lines of the unified difference."""
    lines: list[str] = []
    for name in sorted({*present, *files}):
        old, new = (texts.get(name, "").splitlines(keepends=True) for texts in (present, files))
        lines += difflib.unified_diff(old, new, f"models/{name}", f"generated/{name}")
    return lines


def write(files: dict[str, str], present: dict[str, str], base: Path = ROOT / "models") -> None:
    """Write the files, and remove generated ones that are none any more."""
    for name in present.keys() - files.keys():
        (base / name).unlink()
    for name, text in files.items():
        (base / name).parent.mkdir(parents=True, exist_ok=True)
        (base / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
