from __future__ import annotations

import builtins
import csv
import io
import math
from typing import Any

import pytest
import rich.console

from asyncbridge.models.mirrors.records import Record
from asyncbridge.models.mirrors.tables import csv_text, data_frame, rich_table


def record(history: dict[str, list[Any]], **changes: Any) -> Record:
    """Return the record of a training."""
    epochs = list(range(max(map(len, history.values()), default=0)))
    fields: dict[str, Any] = {
        "epochs": epochs,
        "validation_epochs": epochs,
        "params": {},
        "state": "complete",
    }
    return Record(history=history, **{**fields, **changes})


def printed(made: Record, best: tuple[int, Any] | None = None) -> list[str]:
    """Return the lines that a terminal shows of a record."""
    console = rich.console.Console(file=io.StringIO(), width=100, color_system=None)
    with console.capture() as capture:
        console.print(rich_table(made, lambda name: best))
    return [line.rstrip() for line in capture.get().splitlines()]


def cells(line: str) -> list[str]:
    """Return what stands in a row's cells."""
    return [cell.strip() for cell in line.strip("│").split("│")]


def test_csv_has_a_line_for_each_epoch() -> None:
    """The epoch comes first, and a cell without a value is empty."""
    made = record({"loss": [2.0, 1.5, 1.0], "val_loss": [3.0]}, validation_epochs=[1])
    assert csv_text(made) == "epoch,loss,val_loss\n0,2.0,\n1,1.5,3.0\n2,1.0,\n"


def test_csv_has_a_column_for_each_class() -> None:
    """Their number may differ between epochs; NaN is written as such."""
    made = record({"f1": [[0.5, math.nan], [1.0]], "loss": [2.0, 1.0]}, epochs=[5, 6])
    assert csv_text(made) == "epoch,f1[0],f1[1],loss\n5,0.5,nan,2.0\n6,1.0,,1.0\n"


def test_csv_quotes_names() -> None:
    """A name with separators is read as it was."""
    name = 'a,"b"\nc'
    rows = list(csv.reader(io.StringIO(csv_text(record({name: [1.0]})))))
    assert rows == [["epoch", name], ["0", "1.0"]]


def test_csv_of_nothing_is_a_heading() -> None:
    """A metric without values has its column."""
    assert csv_text(record({})) == "epoch\n"
    assert csv_text(record({"loss": []})) == "epoch,loss\n"


def test_a_frame_has_a_row_for_each_epoch() -> None:
    """The epochs are the index; NaN stands where there is no value."""
    pytest.importorskip("pandas")
    made = record(
        {"f1": [[0.5, 1.0]] * 3, "loss": [2.0, 1.5, 1.0], "val_loss": [3.0]},
        epochs=[4, 5, 6],
        validation_epochs=[5],
    )
    frame = data_frame(made)
    assert (frame.index.name, list(frame.index)) == ("epoch", [4, 5, 6])
    assert list(frame.columns) == ["f1[0]", "f1[1]", "loss", "val_loss"]
    assert set(map(str, frame.dtypes)) == {"float64"}
    assert str(frame["val_loss"].tolist()) == "[nan, 3.0, nan]"
    assert frame["f1[1]"].tolist() == [1.0, 1.0, 1.0]


def test_a_frame_may_be_empty() -> None:
    """It has the columns, as numbers, and no rows."""
    pytest.importorskip("pandas")
    frame = data_frame(record({"loss": []}))
    assert (frame.shape, frame.index.name, str(frame["loss"].dtype)) == ((0, 1), "epoch", "float64")
    assert data_frame(record({})).shape == (0, 0)


def test_a_frame_may_have_a_name_twice() -> None:
    """A metric that is called as another's class has a column of its own."""
    pytest.importorskip("pandas")
    frame = data_frame(record({"f1": [[0.5]], "f1[0]": [0.25]}))
    assert list(frame.columns) == ["f1[0]", "f1[0]"]
    assert frame.iloc[0].tolist() == [0.5, 0.25]


def test_without_pandas_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ImportError says what to install."""
    original = builtins.__import__

    def refuse(name: str, *args: Any) -> Any:
        if name.startswith("pandas"):
            raise ImportError(name)
        return original(name, *args)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(ImportError, match=r"to_pandas\(\).*pip install pandas"):
        data_frame(record({"loss": [1.0]}))


def test_the_table_has_a_row_for_each_metric() -> None:
    """A row has the curve, the first and the last value, and the best one with its epoch."""
    made = record({"loss": [4.0, 2.0, 1.0], "val_loss": [5.0, 4.5]}, validation_epochs=[0, 2])
    lines = printed(made, best=(2, 0.125))
    assert lines[0] == "TrainingHistory: 3 epochs"
    assert cells(lines[4]) == ["loss", "█▃▁", "4", "1", "0.125 (2)"]
    assert cells(lines[5]) == ["val_loss", "█▁", "5", "4.5", "0.125 (2)"]


@pytest.mark.parametrize("count", [1, 24, 5_000])
def test_the_table_has_one_width(count: int) -> None:
    """The curve is as wide with one epoch as with thousands."""
    (row,) = (line for line in printed(record({"loss": [1.0] * count})) if "loss" in line)
    assert len(row.split("│")[2]) == 24 + 2  # a space on both sides
    assert row.count("▅") == min(24, count)


def test_the_table_tells_the_state() -> None:
    """The title says that a training runs, or has failed; there may be no rows."""
    made = record({}, params={"epochs": 9}, state="failed")
    assert printed(made)[0] == "TrainingHistory: 0 of 9 epochs, failed"
    assert cells(printed(record({"loss": []}))[4]) == ["loss", "", "", "", ""]


def test_the_table_shows_the_mean_of_classes() -> None:
    """Of a metric with several values there is no best one."""
    made = record({"f1": [[0.0, 1.0], [1.0, 1.0]]})
    assert cells(printed(made)[4]) == ["f1", "▁█", "0.5", "1", ""]


def test_names_are_no_markup() -> None:
    """What rich would read as a style, or a terminal as an order, is shown as text."""
    made = record({"[red]loss[/red]\x1b[2J": [1.0]})
    assert cells(printed(made)[4])[0] == "[red]loss[/red]\ufffd[2J"
