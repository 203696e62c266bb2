from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.worker.models.conftest import KerasProcess

pytestmark = [pytest.mark.slow, pytest.mark.tensorflow]

UNRECOGNIZED = "Unrecognized data type: x="
FORM = "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, found: "


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "fit(net, x=[[0.125] * 4] * 50_000, y=y)",
            f"{UNRECOGNIZED}<list of 50000 items> (of type <class 'list'>)",
        ),
        ("fit(net, x={1, 2, 3})", f"{UNRECOGNIZED}<set of 3 items> (of type <class 'set'>)"),
        ("fit(net, x=[1.5], y=y)", f"{UNRECOGNIZED}<list of 1 item> (of type <class 'list'>)"),
        (
            "fit(net, x={'a': x.tolist()}, y=y)",
            UNRECOGNIZED + "{'a': <list of 150 items>} (of type <class 'dict'>)",
        ),
        (
            "fit(net, x=x, y=y, sample_weight=[1.5] * 150)",
            f"{UNRECOGNIZED}<array (150, 4) float64> (of type <class 'numpy.ndarray'>)",
        ),
        ("predict(net, x.tolist())", f"{UNRECOGNIZED}<list of 150 items> (of type <class 'list'>)"),
        (
            "evaluate(net, x='a long text ' * 9, y=y)",
            f"{UNRECOGNIZED}<text of 108 characters> (of type <class 'str'>)",
        ),
        (
            "fit(net, x=x, y=y, validation_data=(x, y, y, x))",
            (
                f"{FORM}(<array (150, 4) float64>, <array (150,) int64>, <array (150,) int64>, "
                "<array (150, 4) float64>)"
            ),
        ),
        (
            "fit(net, x=x.tolist(), y=y, validation_split=0.2)",
            (
                "Argument `validation_split` is only supported for tensors or NumPy arrays."
                "Found incompatible type in the input: [<class 'float'>, and so on]"
            ),
        ),
        (
            "fit(net, x=x, y={'a': y, 'b': y}, sample_weight={'a': np.ones(150)})",
            (
                "You should provide one `sample_weight` array per output in `y`. The two structures "
                "did not match:\n"
                "- y: {'a': <array (150,) int64>, 'b': <array (150,) int64>}\n"
                "- sample_weight: {'a': <array (150,) float64>}\n"
            ),
        ),
        (
            "train_on_batch(net, x=x, y=y, sample_weight=np.ones(150), class_weight={0: 1.0})",
            (
                "Arguments `sample_weight` and `class_weight` cannot be specified at the same time. "
                "Received: sample_weight=<array (150,) float64>, class_weight={0: 1.0}"
            ),
        ),
        (
            "predict_on_batch(net, x={1.5, 2.5})",
            (
                "Could not generate a generic TraceType for <set of 2 items>.Please verify that it is "
                "immutable/hashable. Otherwise, consider implementing the Tracing Protocol for it."
            ),
        ),
        (
            "fit(net, x=list(x), y=y)",
            (
                "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                "samples.'x' sizes: [150 numbers left out]\n'y' sizes: 150\n"
            ),
        ),
        (
            "fit(net, x=x, y=y[:100])",
            (
                "Data cardinality is ambiguous. Make sure all arrays contain the same number of "
                "samples.'x' sizes: 150\n'y' sizes: 100\n"
            ),
        ),
        ("fit(net, x=x.astype('U8'), y=y)", "Invalid dtype: str256"),
        ("fit(net, x=x.astype(object), y=y)", "Invalid dtype: object"),
        (
            "fit(net, x=x, y=np.eye(3)[y])",
            (
                "Argument `output` must have rank (ndim) `target.ndim - 1`. Received: "
                "target.shape=(None, 3), output.shape=(None, 3)"
            ),
        ),
    ],
)
def test_keras_messages(worker: KerasProcess, call: str, message: str) -> None:
    """Data in Keras's messages is described; what helps stays, and so does the type."""
    fault = worker.fault(f"net = classifier()\nworker_models.{call}")
    assert fault["message"] == message
    assert fault["type"] in {"ValueError", "TypeError"}
    assert fault["subjects"] in ([], ["net"])


@pytest.mark.parametrize(
    ("call", "detail"),
    [
        ("fit(net, x=x, y=y + 1, batch_size=150)", "a label value of 3"),
        ("evaluate(net, x=x, y=y - 7, batch_size=150)", "a label value of -7"),
        ("test_on_batch(net, x=x, y=y + 1)", "a label value of 3"),
    ],
)
def test_labels_out_of_range(worker: KerasProcess, call: str, detail: str) -> None:
    """TensorFlow's error tells the first wrong label and the node, without the batch's labels.

    It does not list the frames of its graph either: those of the error are told already.
    """
    fault = worker.fault(f"net = classifier()\nworker_models.{call}")
    node = (
        "compile_loss/sparse_categorical_crossentropy/SparseSoftmaxCrossEntropyWithLogits/"
        "SparseSoftmaxCrossEntropyWithLogits"
    )
    head, _, _ = fault["message"].partition(" [Op:")
    assert head == (
        f"Graph execution error:\n\nDetected at node {node}\nReceived {detail} which is outside "
        f"the valid range of [0, 3).  [label values left out]\n\t [[{{{{node {node}}}}}]]"
    )
    assert fault["type"].endswith("InvalidArgumentError")
    assert fault["subjects"] == ["net"]


def test_the_user_s_own_lines_stay(worker: KerasProcess) -> None:
    """Of the frames of a graph those in a command's code are told: a layer of the user's own."""
    fault = worker.fault("""
class Look(keras.layers.Layer):
    def call(self, inputs):
        return keras.ops.take(keras.ops.arange(3), keras.ops.cast(inputs, "int32") + 9, axis=0)
look = keras.Sequential([keras.Input((4,)), Look()])
worker_models.predict(look, x)
""")
    assert "defined at (most recent call last):\n" in fault["message"]
    assert ", line 4, in call" in fault["message"]
    assert "site-packages" not in fault["message"]


def test_the_whole_text(worker: KerasProcess) -> None:
    """No frame of the worker's stands between the command's line and Keras's own."""
    fault = worker.fault("worker_models.fit(net, x=x.tolist(), y=y)")
    first, second = fault["frames"][:2]
    assert first[3] == "worker_models.fit(net, x=x.tolist(), y=y)"
    assert second[0].endswith("traceback_utils.py")
    assert "asyncbridge" not in fault["text"]
    assert len(fault["text"]) < 5_000


def test_causes_are_cleaned(worker: KerasProcess) -> None:
    """What led to an error is told without data, too."""
    fault = worker.fault(
        "worker_models.fit(net, x=x, y={'a': y, 'b': y}, sample_weight={'a': np.ones(150)})"
    )
    assert fault["cause"]["message"] == (
        "dictionary key mismatch; expected key(s): ['a', 'b'], got key(s): ['a'], "
        "missing key(s): ['b']; dict: {'a': <array (150,) float64>}."
    )


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("ValueError(f'got {tensor!r}.')", "got <tf.Tensor: shape=(2, 3), dtype=float32>."),
        ("ValueError(f'got {tensor!s} here')", "got <tensor (2, 3) float32> here"),
        ("ValueError(tensor)", "<tensor (2, 3) float32>"),
        ("ValueError([1, 2, 3])", "<list of 3 items>"),
        ("ValueError(f'got {other} of it')", "got [12 numbers left out] of it"),
        ("ValueError(f'got {-other!r}')", "got array([12 numbers left out])"),
        ("ValueError(f'a list {list(range(2000))}')", "a list [2000 numbers left out]"),
        ("ValueError('shapes (32, 4), (32, 4), (1, 2, 3, 4)')", None),
        ("ValueError('Keras 3.15.1, line 12, 4 of 5 in 6.5 s, 7 or 8, 9')", None),
        ("ValueError('1' * 100_000)", None),
        (
            "ValueError('could not convert string to float: ' + 'word ' * 99)",
            "could not convert string to float: [text left out]",
        ),
        (
            "ValueError('at least rank 1. Received: ' + 'word ' * 99 + ' of rank 0.')",
            "at least rank 1. Received: [value left out] of rank 0.",
        ),
        (
            "TypeError(\"Cannot convert 'a word' to EagerTensor of dtype float\")",
            "Cannot convert [value left out] to EagerTensor of dtype float",
        ),
        (
            "ValueError('Clean it. The repeated terms are: ' + str(['a', 'word']))",
            "Clean it. The repeated terms are: [terms left out]",
        ),
        ("KeyError('name', 3)", "('name', 3)"),
    ],
)
def test_data_of_another_form(worker: KerasProcess, error: str, message: str | None) -> None:
    """Tensors, arrays and lists that are no argument of the call are known by their looks."""
    fault = worker.fault(f"""
from asyncbridge.worker.models.messages import without_data
tensor, other = keras.ops.ones((2, 3)), np.arange(12.0).reshape(3, 4) / 7
error = {error}
whole = str(error)
@without_data
def fail(model, **arguments):
    raise error
fail(None)
""")
    expected = worker.run("whole") if message is None else message
    # A fault's message is cut by itself when it is very long.
    assert fault["message"] == expected or len(expected) == 100_000
    assert worker.run("str(error)") == expected


def test_what_data_can_do(worker: KerasProcess) -> None:
    """Data is not looked at without an error; one that fails then does not hide the error."""
    fault = worker.fault("""
class Hostile(list):
    looked = 0
    def __repr__(self):
        Hostile.looked += 1
        raise RuntimeError("no repr")
@without_data
def fail(model, *, x, error=None):
    if error:
        raise error
hostile = Hostile([1])
fail(None, x=hostile)
assert Hostile.looked == 0
fail(None, x=hostile, error=ValueError("the error itself, which is long enough to hold it"))
""")
    assert fault["message"] == "the error itself, which is long enough to hold it"
    assert worker.run("Hostile.looked") == 1


def test_described(worker: KerasProcess) -> None:
    """A few words for everything; a small structure of arrays is shown as one."""
    assert worker.run("""
from asyncbridge.worker.models.messages import described
given = [
    x, [], [1] * 9, (1,), {"a": 1}, "text", 3.5, np.float32(1), keras.ops.ones((2, 1)),
    [x, y], ({"a": x}, y), {"a": [x], "b": {1: 2}}, {1: x}, [x] * 7,
]
[described(value) for value in given]
""") == [
        "<array (150, 4) float64>", "<list of 0 items>", "<list of 9 items>", "<tuple of 1 item>",
        "<dict of 1 item>", "<text of 4 characters>", "<float>", "<float32 () float32>",
        "<tensor (2, 1) float32>", "[<array (150, 4) float64>, <array (150,) int64>]",
        "(<dict>, <array (150,) int64>)", "{'a': <list>, 'b': <dict of 1 item>}",
        "<dict of 1 item>", "<list of 7 items>",
    ]  # fmt: skip
