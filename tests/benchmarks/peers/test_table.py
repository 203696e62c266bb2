from __future__ import annotations

from benchmarks.peers.table import Round, markdown


def found(**changed: object) -> Round:
    """Return one round of a bridge."""
    return {
        "versions": {"bridge": "1.2"},
        "import_ms": 100.0,
        "import_mib": 20.0,
        "open_s": 0.5,
        "processes": 3,
        "all_mib": 60.0,
        "trip_us": 50.0,
        "pipelined_per_s": 20_000.0,
        "array_s": 0.2,
        "copy_s": 0.05,
        "values": {"nan": "same"},
        "reports": {"came": 100, "median_us": 200.0},
        "cancelled": {"seconds": 0.01, "error": "CancelledError", "said": ""},
        "killed": {"seconds": 0.02, "error": "WorkerLost", "said": "killed"},
        **changed,
    }


def cells(table: str) -> dict[str, list[str]]:
    """Return the rows by their titles."""
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {title: row for title, *row in rows}


def test_a_column_for_each_bridge() -> None:
    """In the order given, below its name."""
    head, rule, *rows = markdown({"ours": [found()], "theirs": [found()]}).splitlines()
    assert head == "|  | ours | theirs |"
    assert rule == "| --- | --- | --- |"
    assert all(row.count(" | ") == 2 for row in rows)


def test_the_best_round_stands_first() -> None:
    """The worst one stands in brackets: of times the longest, of rates the lowest."""
    slow = found(trip_us=75.0, pipelined_per_s=12_345.0, array_s=1.0)
    rows = cells(markdown({"ours": [slow, found()]}))
    assert rows["round trip of a trivial command, median"] == ["50 µs (75)"]
    assert rows["pipelined commands"] == ["20,000 /s (12,300)"]
    assert rows["64 MiB array there and back"] == ["0.671 GB/s (0.134), 4 copies"]


def test_what_a_bridge_cannot_do_is_told() -> None:
    """In the words of its refusal."""
    refused = {"unsupported": "no: the call runs on"}
    rows = cells(markdown({"theirs": [found(cancelled=refused, reports=refused)]}))
    assert rows["a running command that is cancelled ends after"] == ["no: the call runs on"]
    assert rows["a report of progress is here after, median"] == ["no: the call runs on"]


def test_endings_carry_their_errors() -> None:
    """The name of the error stands behind the time."""
    row = cells(markdown({"ours": [found()]}))["worker killed in mid-command, told after"]
    assert row == ["20 ms, `WorkerLost`"]


def test_values_that_changed_are_named() -> None:
    """With what came back in their place; reports that were lost are counted."""
    changed = found(values={"nan": "same", "tuple": "[1]"}, reports={"came": 98, "median_us": 9})
    rows = cells(markdown({"ours": [found()], "theirs": [found(), changed]}))
    assert rows["values that come back"] == ["all the same", "tuple: `[1]`"]
    assert rows["a report of progress is here after, median"][1] == "9 µs (200), 98 of 100 came"
