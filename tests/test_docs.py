"""The documents: their examples run, their links lead somewhere, their tables are the code's."""

from __future__ import annotations

import dataclasses
import doctest
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from asyncbridge.client import options, tracebacks
from asyncbridge.protocol import messages
from asyncbridge.serialization.rows import TAGS
from asyncbridge.transport import leases, sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[1]
REPLACED = re.compile(r"^the worker .*; another one has taken its place\n", re.MULTILINE)
"""What a program without a log of its own shows of a worker that it has killed."""
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]
FENCED = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:^```text\n(?P<output>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)
MODULE = re.compile(r"# (\w+\.py)\n")
WITHOUT_KERAS = re.compile(r"FakeWorker|backend=None")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")
TREE = ("asyncbridge", "models", "serialization", "tests", "examples", "benchmarks", "docs")
PATH = re.compile(rf"`((?:{'|'.join(TREE)})/[\w./-]*)`")


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A ``python`` block, with the ``text`` block right behind it: what it prints.

    One that begins with ``# name.py`` is a module of that name for those below it.
    """

    where: str
    code: str
    output: str | None
    modules: dict[str, str]


def examples() -> Iterator[Example]:
    """Yield the examples of all documents."""
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        modules: dict[str, str] = {}
        for found in FENCED.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            where = f"{document.relative_to(ROOT)}:{line}"
            yield Example(
                where=where, code=found["code"], output=found["output"], modules=dict(modules)
            )
            if named := MODULE.match(found["code"]):
                modules[named[1]] = found["code"]


def as_parameter(example: Example) -> object:
    """Return the example as a test's parameter, marked with what it needs."""
    marks = [pytest.mark.slow]
    if "connect(" in example.code and WITHOUT_KERAS.search(example.code) is None:
        marks.append(pytest.mark.tensorflow)
    return pytest.param(example, id=example.where, marks=marks)


@pytest.mark.usefixtures("no_leaks")
@pytest.mark.parametrize("example", [as_parameter(example) for example in examples()])
def test_the_examples_run(example: Example, tmp_path: Path) -> None:
    """Every example ends without an error or a warning, and prints what stands below it."""
    program = tmp_path / "example.py"
    program.write_text(example.code, encoding="utf-8")
    for name, code in example.modules.items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    env = {name: value for name, value in os.environ.items() if not name.startswith("ASYNCBRIDGE_")}
    done = subprocess.run(
        [sys.executable, "-W", "error", program],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**env, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, REPLACED.sub("", done.stderr)) == (0, "")
    if example.output is not None:
        matches = doctest.OutputChecker().check_output(
            example.output, done.stdout, doctest.ELLIPSIS
        )
        assert matches, f"it printed:\n{done.stdout}"


def test_the_readme_has_its_examples() -> None:
    """The extractor finds blocks, and what some of them print."""
    found = [example for example in examples() if example.where.startswith("README.md")]
    assert len(found) >= 5
    assert any(example.output for example in found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_and_paths_lead_somewhere(document: Path) -> None:
    """Each relative link, and each path of the tree in backticks, is a file or a folder."""
    text = document.read_text(encoding="utf-8")
    links = [document.parent / target for target in LINK.findall(text)]
    paths = [ROOT / target for target in PATH.findall(text)]
    assert [path for path in links + paths if not path.exists()] == []


def test_the_readme_names_every_variable() -> None:
    """The table of settings has the variables that the client reads, and no others."""
    variable = re.compile(r"ASYNCBRIDGE_[A-Z_]*[A-Z]")
    files = (options.__file__, leases.__file__, sizes.__file__, tracebacks.__file__)
    source = "".join(Path(file).read_text(encoding="utf-8") for file in files)
    table = "".join(re.findall(r"^\|.*\n", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert set(variable.findall(table)) == set(variable.findall(source))


@pytest.mark.parametrize("kind", list(TAGS), ids=lambda kind: kind.__name__)
def test_the_wire_format_tells_every_message(kind: type) -> None:
    """Tag and fields stand in docs/wire-format.md, optional ones in brackets, in their order."""
    text = (ROOT / "docs" / "wire-format.md").read_text(encoding="utf-8")
    row = re.search(rf"^\| {TAGS[kind]} \| {kind.__name__} \| (.*) \|$", text, re.MULTILINE)
    assert row is not None
    required, _, optional = row[1].partition("[")
    told = [re.findall(r"(\w+):", part) for part in (required, optional)]
    fields = dataclasses.fields(getattr(messages, kind.__name__))
    assert told == [
        [field.name for field in fields if field.default is dataclasses.MISSING],
        [field.name for field in fields if field.default is not dataclasses.MISSING],
    ]
