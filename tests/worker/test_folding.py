from __future__ import annotations

import traceback
from pathlib import Path

import pytest

import asyncbridge
from asyncbridge.worker.folding import Piece, indented, joined, room_of, stack_pieces

KERAS = "/v/lib/python3.11/site-packages/keras/src/layers/layer.py"
TENSORFLOW = "/v/lib/python3.11/site-packages/tensorflow/python/ops.py"
OWN = "<command 12345678>"


def stack(*files: str) -> list[traceback.FrameSummary]:
    """Return frames in these files."""
    return [traceback.FrameSummary(file, 1, "f", lookup_line=False, line="x") for file in files]


@pytest.mark.parametrize(
    ("filename", "room"),
    [
        (KERAS, "keras"),
        ("/usr/lib/python3/dist-packages/numpy/core.py", "numpy"),
        ("/tmp/__autograph_generated_filed9x.py", "tensorflow"),
        (str(Path(asyncbridge.__file__).parent / "worker" / "streams.py"), "asyncbridge"),
        ("/home/me/keras/mine.py", ""),
        ("/v/site-packages/keras_tuner/tuner.py", ""),
        ("/usr/lib/python3.11/json/decoder.py", ""),
        (OWN, ""),
    ],
)
def test_rooms(filename: str, room: str) -> None:
    """A framework's files are known by the folder that they are installed in."""
    assert room_of(filename) == room


def test_runs_of_frames_are_labelled() -> None:
    """Frames of frameworks in a row are one fold, which names them in their order."""
    pieces = list(stack_pieces(stack(OWN, KERAS, KERAS, TENSORFLOW, OWN), innermost=True))
    assert [label for _, label in pieces] == ["", "  ... 3 frames in keras and tensorflow", ""]
    whole = "".join(traceback.format_list(stack(OWN, KERAS, KERAS, TENSORFLOW, OWN)))
    assert "".join(text for text, _ in pieces) == whole


def test_the_frame_that_raised_stays() -> None:
    """Whosever it is; so does a single frame, which a label would not make shorter."""
    pieces = list(stack_pieces(stack(OWN, KERAS, KERAS, KERAS), innermost=True))
    assert [label for _, label in pieces] == ["", "  ... 2 frames in keras", ""]
    pieces = list(stack_pieces(stack(OWN, KERAS, OWN), innermost=True))
    assert [label for _, label in pieces] == ["", "", ""]
    pieces = list(stack_pieces(stack(KERAS, KERAS), innermost=False))
    assert [label for _, label in pieces] == ["  ... 2 frames in keras"]


def test_folds_count_lines_of_the_whole_text() -> None:
    """Also where a group's box stands before each of them."""
    pieces = [Piece("a\n"), *indented([Piece("b\nc\n", "  ... 2"), Piece("d\n")], "  | ")]
    assert joined(pieces) == ("a\n  | b\n  | c\n  | d\n", ((1, 2, "  |   ... 2"),))
