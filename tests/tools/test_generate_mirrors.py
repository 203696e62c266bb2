from __future__ import annotations

from typing import TYPE_CHECKING

from tools.generate_mirrors import compare, formatted, generated, write
from tools.writer import MARK

if TYPE_CHECKING:
    from pathlib import Path

OURS = f'"""{MARK}."""\n'


def test_equal_files_do_not_differ() -> None:
    """The difference is empty."""
    assert compare({"a.py": "1\n"}, {"a.py": "1\n"}) == []


def test_a_difference_names_both_sides() -> None:
    """Changed, new and vanished files show."""
    lines = compare({"a.py": "1\n", "old.py": "2\n"}, {"a.py": "3\n", "new.py": "4\n"})
    text = "".join(lines)
    assert "--- models/a.py\n+++ generated/a.py\n@@ -1 +1 @@\n-1\n+3\n" in text
    assert "+4\n" in text
    assert "-2\n" in text


def test_files_by_hand_are_left_alone(tmp_path: Path) -> None:
    """Only what bears the mark is read, replaced or removed."""
    (tmp_path / "__init__.py").write_text('"""By hand."""\n')
    (tmp_path / "stale.py").write_text(OURS)
    present = generated(tmp_path)
    assert present == {"stale.py": OURS}
    write({"ops/nn.py": OURS}, present, tmp_path)
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.py")} == {
        "__init__.py",
        "ops/nn.py",
    }


def test_the_layout_is_the_repositorys() -> None:
    """Imports are sorted, lists too, lines are cut at 100."""
    source = (
        "from b import d\nfrom b import c\nimport a\n"
        '__all__ = ["d", "c", "B"]\nx = f(' + ", ".join(["argument"] * 12) + ")\n"
    )
    text = formatted({"x.py": source})["x.py"]
    assert text.startswith("import a\nfrom b import c, d\n")
    assert '__all__ = ["B", "c", "d"]' in text
    assert max(map(len, text.splitlines())) <= 100
