"""What each part may import: the frameworks, the standard library, one maker of tasks."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
FRAMEWORKS = frozenset({"jax", "keras", "tensorflow", "torch"})
LOOP_MAKERS = frozenset({"get_event_loop", "get_running_loop", "new_event_loop"})
STANDARD_LIBRARY_ALONE = (
    "asyncbridge",
    "asyncbridge.errors",
    "asyncbridge.outcome",
    "asyncbridge.parsing",
    "asyncbridge.promise",
    "asyncbridge.tasks",
    "asyncbridge.worker.supervisor",
)

REPORT_FOREIGN = """
import sys, importlib
before = set(sys.modules)
importlib.import_module(sys.argv[1])
names = {name.partition(".")[0] for name in set(sys.modules) - before}
print(*sorted(names - sys.stdlib_module_names - {"asyncbridge"}))
"""


def sources(*, worker: bool) -> Iterator[Path]:
    """Yield the product's Python files, with or without the worker's."""
    for folder in ("asyncbridge", "models", "serialization"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if worker or "worker" not in path.relative_to(ROOT).parts:
                yield path


def imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and the top-level name of every import, nested ones included."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name.partition(".")[0]) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.lineno, str(node.module).partition(".")[0]


def makes_a_task_on_a_loop(node: ast.AST) -> bool:
    """Tell ``loop.create_task(...)`` from ``group.create_task(...)``, by the receiver."""
    if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
        return False
    if node.func.attr != "create_task":
        return False
    receiver = node.func.value
    if isinstance(receiver, ast.Call):
        receiver = receiver.func
        return isinstance(receiver, ast.Attribute) and receiver.attr in LOOP_MAKERS
    name = receiver.attr if isinstance(receiver, ast.Attribute) else getattr(receiver, "id", "")
    return name.strip("_").endswith("loop")


def test_frameworks_are_imported_under_worker_alone() -> None:
    """The app's process never imports Keras or a backend, not even inside a function."""
    found = [
        f"{path.relative_to(ROOT)}:{line} imports {name}"
        for path in sources(worker=False)
        for line, name in imported(ast.parse(path.read_text()))
        if name in FRAMEWORKS
    ]
    assert found == []


def test_one_file_makes_tasks() -> None:
    """No method of a loop makes a task outside tasks.py (ruff sees asyncio's functions)."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources(worker=True)
        if path != ROOT / "asyncbridge" / "tasks.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and makes_a_task_on_a_loop(node)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("loop.create_task(x)", True),
        ("self._loop.create_task(x)", True),
        ("asyncio.get_running_loop().create_task(x)", True),
        ("group.create_task(x)", False),
        ("loop.call_soon(x)", False),
    ],
)
def test_the_scan_knows_a_loop_from_a_group(code: str, found: bool) -> None:
    """The scan above would see what it looks for."""
    assert makes_a_task_on_a_loop(ast.parse(code, mode="eval").body) is found


@pytest.mark.parametrize("module", STANDARD_LIBRARY_ALONE)
def test_imports_the_standard_library_alone(module: str) -> None:
    """These modules load without any dependency: fast, and before anything is installed."""
    done = subprocess.run(
        [sys.executable, "-c", REPORT_FOREIGN, module],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout.split(), done.stderr) == ([], "")
