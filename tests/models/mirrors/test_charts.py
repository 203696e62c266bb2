from __future__ import annotations

import math
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from asyncbridge.models.mirrors import charts
from asyncbridge.models.mirrors.records import Record

NAN = math.nan
HOSTILE = "\x00\x1b\ud800\"</svg><script>alert('x')</script>"


def html(history: dict[str, list[Any]], **changes: Any) -> str:
    """Return what a notebook shows of a training."""
    epochs = list(range(max(map(len, history.values()), default=0)))
    fields: dict[str, Any] = {
        "epochs": epochs,
        "validation_epochs": epochs,
        "params": {},
        "state": "complete",
    }
    return charts.html(Record(history=history, **{**fields, **changes}))


def tree(history: dict[str, list[Any]], **changes: Any) -> ET.Element:
    """Return it as XML, as which it is well-formed."""
    return ET.fromstring(html(history, **changes))


def texts(element: ET.Element) -> list[str]:
    """Return the texts in an element, in their order."""
    return [text.strip() for text in element.itertext() if text.strip()]


def curves(svg: ET.Element) -> list[ET.Element]:
    """Return the curves of a chart: the grid and the axes take the colour of the text."""
    return [path for path in svg.iter("path") if path.get("stroke") != "currentColor"]


def corners(path: ET.Element) -> list[list[tuple[float, float]]]:
    """Return the points of each piece of a path."""
    pieces = path.attrib["d"].removesuffix("h0").replace("h0", "").split("M")[1:]
    numbers = [[float(number) for number in piece.split()] for piece in pieces]
    return [list(zip(piece[::2], piece[1::2], strict=True)) for piece in numbers]


def test_each_metric_has_a_chart() -> None:
    """Training and validation share one, with a legend and the axis's name."""
    shown = tree({"acc": [0.5, 1.0], "loss": [2.0, 1.0], "val_loss": [3.0, 2.0]})
    acc, loss = shown.iter("svg")
    assert texts(acc)[:2] == ["acc", "— training"]
    assert texts(loss)[:3] == ["loss", "— training", "— validation"]
    assert "epoch" in texts(acc)
    assert loss.get("aria-label") == "loss over the epochs"
    training, validation = curves(loss)
    assert training.get("stroke") != validation.get("stroke")
    legend = [span.get("fill") for span in loss.iter("tspan")]
    assert legend == [training.get("stroke"), validation.get("stroke")]


def test_a_curve_stands_where_its_values_are() -> None:
    """Epochs go to the right and values up, between the marks of the axes."""
    (chart,) = tree({"loss": [0.0, 10.0, 5.0]}, epochs=[7, 8, 9]).iter("svg")
    (path,) = curves(chart)
    ((first, second, third),) = corners(path)
    assert first[0] < second[0] < third[0]
    assert second[1] < third[1] < first[1]
    marks = {text.text: text for text in chart.iter("text")}
    assert float(marks["9"].attrib["x"]) == third[0]
    # The text's baseline is 4 below the middle of its digits.
    assert float(marks["10"].attrib["y"]) - 4 == second[1]


def test_the_table_has_the_last_values() -> None:
    """There is a row for each metric, with training and validation."""
    shown = tree({"f1": [[0.5, 1.0]], "loss": [NAN], "val_loss": [1.0 / 3]})
    rows = [[cell.text or "" for cell in row] for row in shown.iter("tr")]
    assert rows == [
        ["last values", "training", "validation"],
        ["f1", "[0.5, 1]", ""],
        ["loss", "nan", "0.3333"],
    ]


@pytest.mark.parametrize(("state", "mark"), [("running", ", running"), ("failed", ", failed")])
def test_an_unfinished_training_is_marked(state: str, mark: str) -> None:
    """The heading says how many epochs there are, and the state."""
    shown = tree({"loss": [1.0]}, params={"epochs": 3}, state=state)
    assert texts(shown)[:2] == ["TrainingHistory", f": 1 of 3 epochs{mark}"]
    assert texts(tree({"loss": [1.0]}))[1] == ": 1 epoch"


def test_nothing_yet_is_a_heading() -> None:
    """A training without an epoch has no chart and no table."""
    shown = tree({}, params={"epochs": 3}, state="running")
    assert texts(shown) == ["TrainingHistory", ": 0 of 3 epochs, running"]
    assert list(shown.iter("svg")) == list(shown.iter("table")) == []


def test_hostile_names_stay_text() -> None:
    """What a worker calls a metric is neither markup nor longer than can be read."""
    shown = tree({HOSTILE: [1.0], "&" * 10_000: [HOSTILE], f"val_{HOSTILE}": [HOSTILE]})
    tags = {element.tag for element in shown.iter()}
    assert tags <= {
        *("div", "p", "b", "svg", "text", "tspan", "path", "g"),
        *("table", "thead", "tbody", "tr", "th", "td"),
    }
    assert "\ufffd\ufffd\ufffd\"</svg><script>alert('x')</s…" in texts(shown)
    assert max(map(len, texts(shown))) <= 60


def test_it_stands_alone() -> None:
    """Nothing is loaded or run, and nothing has a name that another output could have, too."""
    shown = tree({"f1": [[0.5, 1.0]] * 3, "loss": [1.0, NAN, 2.0], "val_loss": [1.0] * 3})
    names = {name for element in shown.iter() for name in element.attrib}
    assert names.isdisjoint({"href", "src", "id", "class", "onload"})
    assert "url(" not in html({"loss": [1.0, 2.0]})


def test_colours_suit_dark_and_light() -> None:
    """Lines have at least a contrast of 3 to white and to black; all else is currentColor."""
    shown = tree(
        {"many": [[float(at) for at in range(8)]] * 2, "l": [1.0, 2.0], "val_l": [2.0, 1.0]}
    )
    colors = {
        element.get(name, "none") for element in shown.iter() for name in ("fill", "stroke")
    } - {"none", "currentColor"}
    assert len(colors) == 8
    for color in colors:
        parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        luminance = sum(map(float.__mul__, (0.2126, 0.7152, 0.0722), linear))
        assert 1.05 / (luminance + 0.05) >= 3
        assert (luminance + 0.05) / 0.05 >= 3


def test_what_is_not_finite_breaks_the_line() -> None:
    """The pieces between are lines, and a value alone is a dot."""
    (chart,) = tree({"loss": [1.0, 2.0, NAN, 3.0, math.inf, 2.0, 1.0, 0.0]}).iter("svg")
    line, dot = curves(chart)
    assert [len(piece) for piece in corners(line)] == [2, 3]
    assert [len(piece) for piece in corners(dot)] == [1]
    assert float(dot.attrib["stroke-width"]) > float(line.attrib["stroke-width"])


def test_one_epoch_is_a_dot() -> None:
    """It stands in the middle, above its number."""
    (chart,) = tree({"loss": [1.0], "val_loss": [2.0]}, epochs=[7], validation_epochs=[7]).iter(
        "svg"
    )
    training, validation = curves(chart)
    assert training.attrib["d"].endswith("h0")
    (((x, _),),) = corners(training)
    assert corners(validation)[0][0][0] == x
    (number,) = (text for text in chart.iter("text") if text.text == "7")
    assert float(number.attrib["x"]) == x


@pytest.mark.parametrize(
    "values", [[NAN, NAN], ["text"], [1e308, -1e308], [0.0, 0.0], [5e-324, 0.0], [1e300, -1e300]]
)
def test_odd_values_have_a_chart(values: list[Any]) -> None:
    """No value is an error, and no coordinate is NaN or infinite."""
    text = html({"loss": values})
    ET.fromstring(text)
    assert re.search(r'd="[^"]*(nan|inf)', text) is None


def test_classes_have_colours() -> None:
    """A metric with one value for each class has a curve for each, dashed for validation."""
    (chart,) = tree({"f1": [[0.5, 1.0]] * 2, "val_f1": [[0.25, 0.75]] * 2}).iter("svg")
    assert texts(chart)[:4] == ["f1", "[0]", "[1]", "dashed: validation"]
    colors = [(path.get("stroke"), path.get("stroke-dasharray")) for path in curves(chart)]
    assert colors[0][0] == colors[2][0] != colors[1][0] == colors[3][0]
    assert [dashes is not None for _, dashes in colors] == [False, False, True, True]


def test_many_classes_are_counted() -> None:
    """Those that have no colour are told by their number."""
    (chart,) = tree({"f1": [[0.5] * 100] * 2}).iter("svg")
    assert len(curves(chart)) == 8
    assert "+92" in texts(chart)


def test_a_long_training_is_thinned() -> None:
    """Thousands of epochs are no more than the pixels are wide, and no peak is lost."""
    values = [1.0] * 50_000
    values[31_234] = 9.0
    (chart,) = tree({"loss": values}).iter("svg")
    (path,) = curves(chart)
    (points,) = corners(path)
    assert len(points) < 2 * 320
    top = float(next(text for text in chart.iter("text") if text.text == "8").attrib["y"])
    assert min(y for _, y in points) < top
    assert len(html({"loss": values})) < 10_000


def test_it_is_shorter_than_100_kb() -> None:
    """Not even many metrics of many classes, with gaps and hostile names, are longer."""
    values: list[Any] = [
        [NAN if (epoch + at) % 4 == 0 else (epoch * at) % 7 / 1e7 for at in range(20)]
        for epoch in range(300)
    ]
    values[-1] = ["'" * 100] * 9
    names = [f"{at:02}{chr(39) * 100}" for at in range(30)]
    history = dict.fromkeys([*names, *(f"val_{name}" for name in names)], values)
    text = html(history)
    assert len(text.encode()) < 100_000
    assert texts(ET.fromstring(text))[-1] == "and 10 metrics more"
