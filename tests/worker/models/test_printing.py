from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

CODE = """
import contextlib, io
from asyncbridge.worker.models.printing import printing
printed, arguments = io.StringIO(), {"verbose": VERBOSE}
keras.config.disable_interactive_logging()
with contextlib.redirect_stdout(printed), printing(arguments):
    inside = keras.config.is_interactive_logging_enabled()
    model = classifier()
    model.fit(x, y, epochs=2, **arguments)
[arguments, inside, keras.config.is_interactive_logging_enabled(), "Epoch 1/2" in printed.getvalue(),
 "\\b" in printed.getvalue()]
"""


@pytest.mark.parametrize("verbose", [1, 2])
def test_a_line_for_each_epoch(worker: KerasProcess, verbose: int) -> None:
    """Who asks for output gets lines and no bar; Keras is quiet again afterwards."""
    told = worker.run(CODE.replace("VERBOSE", str(verbose)))
    assert told == [{"verbose": 2}, True, False, True, False]


def test_nothing_is_printed_by_default(worker: KerasProcess) -> None:
    """Without ``verbose`` nothing changes."""
    assert worker.run(CODE.replace("VERBOSE", "0")) == [{"verbose": 0}, False, False, False, False]
