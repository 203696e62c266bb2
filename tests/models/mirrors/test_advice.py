from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncbridge.errors import DependencyError, RemoteError
from asyncbridge.models.mirrors import advice
from asyncbridge.models.mirrors.advice import notes_for
from asyncbridge.models.toplevel import KERAS_VERSION
from tests.limits import HANG_S

ROOT = Path(__file__).resolve().parents[3]


@dataclass(frozen=True, kw_only=True)
class Case:
    """What a newcomer does, what Keras says of it, and what is said besides.

    ``text`` is what was seen of Keras 3.15.1, cut to what matters.
    """

    code: str
    text: str
    note: str


def names(code: str, text: str, note: str) -> Case:
    """Return a case of a misspelt name."""
    return Case(code=code, text=f"ValueError: Could not interpret {text}", note=note)


def versions(fact: str) -> str:
    """Return what is said of what the worker's Keras lacks."""
    return (
        f"the worker's Keras {fact}: the mirrors are those of Keras {KERAS_VERSION}, install "
        "that release where the worker runs, or use what both have"
    )


COMPILE = (
    "write model.compile(optimizer='adam', loss=...) before fit(), evaluate() and "
    "train_on_batch(); predict() needs none"
)
NUMBERS = (
    "Keras trains on numbers: number text classes by numpy.unique(y, return_inverse=True)[1], "
    "and read text with a keras.layers.StringLookup or TextVectorization layer; an array of "
    "objects needs astype('float32')"
)
LABELS = (
    "the model's last layer has 3 outputs, so labels must be 0 to 2: count the classes from 0, "
    "or give the last layer as many units as there are classes; one-hot rows go with "
    "loss='categorical_crossentropy'"
)
RANK = (
    "y has one number for each sample and the model 3 outputs: for labels 0, 1, 2 … use "
    "loss='sparse_categorical_crossentropy', or make y one-hot by "
    "keras.utils.to_categorical(y, 3); for any other number give the last layer 1 unit"
)
EMBEDDING = (
    "an Embedding layer with input_dim=10 takes the integers 0 to 9: make input_dim the largest "
    "one in the data plus 1, 0 for padding counted in"
)
MEMORY = (
    "the worker's device has too little memory for this step: lower batch_size (32 when not "
    "given), or make the layers smaller"
)

CASES = {
    "loss": names(
        "mlp('categorical_crossentrpy').fit(x, hot)",
        "loss identifier: categorical_crossentrpy",
        "'categorical_crossentrpy' is no loss of Keras; did you mean 'categorical_crossentropy', "
        "'categorical_focal_crossentropy' or 'sparse_categorical_crossentropy'?",
    ),
    "loss in camels": names(
        "mlp('MeanSquareError').fit(x, hot)",
        "loss identifier: MeanSquareError",
        "'MeanSquareError' is no loss of Keras; did you mean 'MeanSquaredError', "
        "'MeanSquaredLogarithmicError' or 'MeanAbsoluteError'?",
    ),
    "metric": names(
        "mlp(metrics=['acuracy']).fit(x, hot)",
        "metric identifier: acuracy",
        "'acuracy' is no metric of Keras; did you mean 'accuracy', 'binary_accuracy' or 'auc'?",
    ),
    "optimizer": names(
        "mlp(optimizer='adm')",
        "optimizer identifier: adm",
        "'adm' is no optimizer of Keras; did you mean 'adam', 'nadam' or 'adamw'?",
    ),
    "activation": names(
        "layers.Dense(3, activation='rellu')",
        "activation function identifier: rellu",
        "'rellu' is no activation function of Keras; did you mean 'relu', 'relu6' or 'elu'?",
    ),
    "initializer": names(
        "layers.Dense(3, kernel_initializer='glorot_unform')",
        "initializer identifier: glorot_unform",
        "'glorot_unform' is no initializer of Keras; did you mean 'glorot_uniform', "
        "'glorot_normal' or 'random_uniform'?",
    ),
    "regularizer": names(
        "layers.Dense(3, kernel_regularizer='l3')",
        "regularizer identifier: l3",
        "'l3' is no regularizer of Keras; it has 'l1', 'l1l2', 'l2' and 'orthogonal_regularizer'",
    ),
    "constraint": names(
        "layers.Dense(3, kernel_constraint='maxnorm')",
        "constraint identifier: maxnorm",
        "'maxnorm' is no constraint of Keras; did you mean 'max_norm' or 'min_max_norm'?",
    ),
    "layer": Case(
        code="layers.deserialize({'class_name': 'Dens', 'config': {}})",
        text="TypeError: Could not locate class 'Dens'. Make sure custom classes",
        note="Keras has no layer 'Dens'; did you mean 'Dense'?",
    ),
    "attribute": Case(
        code="layers.Dens(3)",
        text="AttributeError: module 'keras.layers' has no attribute 'Dens'",
        note=versions("has no keras.layers.Dens"),
    ),
    "argument of a layer": Case(
        code="layers.Dense(3, activ='relu')",
        text="ValueError: Unrecognized keyword arguments passed to Dense: {'activ': 'relu'}",
        note=versions("does not know the argument"),
    ),
    "argument of an optimizer": Case(
        code="keras.optimizers.Adam(lr=3)",
        text="ValueError: Argument(s) not recognized: {'lr': 3}",
        note=versions("does not know the argument"),
    ),
    "argument of a method": Case(
        code="mlp().fit(x, hot, foo=3)",
        text="TypeError: TensorFlowTrainer.fit() got an unexpected keyword argument 'foo'",
        note=versions("does not know the argument"),
    ),
    "no compile": Case(
        code="mlp(None).fit(x, hot)",
        text="ValueError: You must call `compile()` before using the model.",
        note=COMPILE,
    ),
    "unequal lengths": Case(
        code="mlp().fit(x, hot[:30], sample_weight=np.ones(3))",
        text=(
            "ValueError: Data cardinality is ambiguous. Make sure all arrays contain the same "
            "number of samples.'x' sizes: 40\n'y' sizes: 30\n'sample_weight' sizes: 3\n"
        ),
        note=(
            "the numbers of samples are 40 in x, 30 in y, 3 in sample_weight: all arrays of x, y "
            "and sample_weight must be equally long along their first axis"
        ),
    ),
    "unequal inputs": Case(
        code="mlp().fit([x, x[:3]], hot)",
        text="ValueError: Data cardinality is ambiguous. Make …'x' sizes: 40, 3\n'y' sizes: 40\n",
        note=(
            "the numbers of samples are 40 and 3 in x, 40 in y: all arrays of x, y and "
            "sample_weight must be equally long along their first axis"
        ),
    ),
    "unequal lengths in a batch": Case(
        code="mlp().train_on_batch(x, hot[:30])",
        text=(
            "ValueError: Arguments `target` and `output` must have the same shape. Received: "
            "target.shape=(30, 3), output.shape=(40, 3)"
        ),
        note="y has 30 samples and x has 40: they must be equally long",
    ),
    "nothing to predict": Case(
        code="mlp().predict(x[:0])",
        text=(
            "UnboundLocalError: cannot access local variable 'batch_outputs' where it is not "
            "associated with a value"
        ),
        note="x has no samples: its first axis, which counts them, is 0 long",
    ),
    "no y": Case(
        code="mlp().fit(x)",
        text="ValueError: None values not supported.",
        note="the loss compares y with the outputs, and there is no y: pass one",
    ),
    "text": Case(
        code="mlp().fit(x.astype('U8'), hot)",
        text="ValueError: Invalid dtype: str256",
        note=NUMBERS,
    ),
    "text in a batch": Case(
        code="mlp().predict_on_batch(x.astype('U8'))",
        text=(
            "tensorflow.python.framework.errors_impl.UnimplementedError: Graph execution error:\n"
            "Cast string to float is not supported\n\t [[{{node sequential_6_1/Cast}}]]"
        ),
        note=NUMBERS,
    ),
    "objects": Case(
        code="mlp().fit(x.astype(object), hot)",
        text="ValueError: Invalid dtype: object",
        note=NUMBERS,
    ),
    "times": Case(
        code="mlp().fit(x.astype('datetime64[s]'), hot)",
        text="ValueError: Invalid dtype: datetime64[s]",
        note="Keras trains on numbers: make numbers of the times, as by x.astype('int64')",
    ),
    "nested lists": Case(
        code="mlp().fit(x.tolist(), hot)",
        text="ValueError: Unrecognized data type: x=[[0.85, 0.63, 0.51, 0.26]] (of type <class",
        note=(
            "what is made in the worker must be an array, a dict or list of arrays, a "
            "tf.data.Dataset or a keras.utils.PyDataset; numpy.asarray() makes an array of lists"
        ),
    ),
    "label too large": Case(
        code="mlp('sparse_categorical_crossentropy').fit(x, label + 5)",
        text=(
            "tensorflow.python.framework.errors_impl.InvalidArgumentError: Graph execution "
            "error:\nReceived a label value of 7 which is outside the valid range of [0, 3).  "
            "Label values: 7 7 1 0"
        ),
        note=LABELS,
    ),
    "label too small": Case(
        code="mlp('sparse_categorical_crossentropy').fit(x, label - 1)",
        text="Received a label value of -1 which is outside the valid range of [0, 3).  Label",
        note=LABELS,
    ),
    "labels for one output": Case(
        code="mlp('sparse_categorical_crossentropy', units=1).fit(x, label)",
        text="Received a label value of 2 which is outside the valid range of [0, 1).  Label",
        note=(
            "the model's last layer has 1 output, and a sparse categorical loss wants one for "
            "each class: for two classes use loss='binary_crossentropy' with "
            "activation='sigmoid', for more give the last layer as many units as classes"
        ),
    ),
    "labels, not one-hot": Case(
        code="mlp().fit(x, label)",
        text=(
            "ValueError: Arguments `target` and `output` must have the same rank (ndim). "
            "Received: target.shape=(None,), output.shape=(None, 3)"
        ),
        note=RANK,
    ),
    "one-hot, not labels": Case(
        code="mlp('sparse_categorical_crossentropy').fit(x, hot)",
        text=(
            "ValueError: Argument `output` must have rank (ndim) `target.ndim - 1`. Received: "
            "target.shape=(None, 3), output.shape=(None, 3)"
        ),
        note=(
            "y has 3 columns, and a sparse loss wants one label for each sample: use "
            "loss='categorical_crossentropy' for one-hot rows, or pass y.argmax(axis=-1)"
        ),
    ),
    "too few units": Case(
        code="mlp('binary_crossentropy', units=1).fit(x, hot)",
        text=(
            "ValueError: Arguments `target` and `output` must have the same shape. Received: "
            "target.shape=(None, 3), output.shape=(None, 1)"
        ),
        note="y has 3 columns and the model's last layer 1 unit: they must be as many",
    ),
    "images against rows": Case(
        code="mlp().fit(x, np.zeros((40, 8, 8)))",
        text=(
            "ValueError: Arguments `target` and `output` must have the same rank (ndim). "
            "Received: target.shape=(None, 8, 8), output.shape=(None, 3)"
        ),
        note=(
            "y has the shape (None, 8, 8) and the model's output (None, 3), None being any number "
            "of samples: give y and the last layer the same shape"
        ),
    ),
    "another loss": Case(
        code="mlp('mse', units=2).fit(x, hot)",
        text=(
            "ValueError: Dimensions must be equal, but are 3 and 2 for '{{node compile_loss/mse/"
            "sub}} = Sub[T=DT_FLOAT](data_1, sequential_33_1/dense_69_1/Softmax)' with input "
            "shapes: [?,3], [?,2]."
        ),
        note=(
            "[?,3] and [?,2] are the shapes of y and of the model's output in the loss, and do "
            "not fit: y must have one value for each unit of the last layer"
        ),
    ),
    "another loss, its gradient": Case(
        code="mlp('kl_divergence').fit(x, label)",
        text=(
            "tensorflow.python.framework.errors_impl.InvalidArgumentError: Graph execution error:\n"
            "Incompatible shapes: [32] vs. [32,3]\n\t [[{{node gradient_tape/compile_loss/"
            "kl_divergence/truediv/BroadcastGradientArgs}}]]"
        ),
        note=(
            "[32] and [32,3] are the shapes of y and of the model's output in the loss, and do "
            "not fit: y must have one value for each unit of the last layer"
        ),
    ),
    "logits": Case(
        code="tf.nn.softmax_cross_entropy_with_logits(labels=hot, logits=hot[:, :2])",
        text=(
            "tensorflow.python.framework.errors_impl.InvalidArgumentError: logits and labels must "
            "be broadcastable: logits_size=[40,2] labels_size=[40,3] [Op:Softmax"
        ),
        note="y has 3 columns and the model's last layer 2 units: they must be as many",
    ),
    "sparse logits": Case(
        code="tf.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=hot[:3])",
        text=(
            "ValueError: `labels.shape` must equal `logits.shape` except for the last dimension. "
            "Received: labels.shape=(40,) and logits.shape=(3, 3)"
        ),
        note=(
            "y has the shape (40,) and the model's output (3, 3): a sparse loss wants one label "
            "for each sample, of the output's shape without the last axis"
        ),
    ),
    "embedding": Case(
        code="embedding().fit(np.full((40, 4), 17), label)",
        text=(
            "tensorflow.python.framework.errors_impl.InvalidArgumentError: Graph execution error:\n"
            "indices[0,0] = 17 is not in [0, 10)\n\t [[{{node sequential_2_1/embedding_1/GatherV2}}]]"
        ),
        note=EMBEDDING,
    ),
    "features": Case(
        code="mlp().predict(x[:, :3])",
        text=(
            "ValueError: Exception encountered when calling Sequential.call().\n\n\x1b[1mInput 0 "
            "with name 'None' of layer 'head' is incompatible with the layer: expected axis -1 "
            "of input shape to have value 4, but received input with shape (32, 3)\x1b[0m"
        ),
        note=(
            "layer 'head' was made for 4 features (the last axis) and is given 3: x must have as "
            "many as keras.Input() said, or the first data, when the model was made"
        ),
    ),
    "one sample": Case(
        code="mlp().predict(x[0])",
        text=(
            '\x1b[1mInvalid input shape for input Tensor("data:0", shape=(4,), dtype=float32) '
            "with name 'keras_tensor_133' and path ''. Expected shape (None, 4), but input has "
            "incompatible shape (4,)\x1b[0m"
        ),
        note=(
            "the first axis of the data is that of the samples, and is missing: pass x[None] for "
            "a single sample, and batch() a tf.data pipeline"
        ),
    ),
    "axes too many": Case(
        code="mlp().predict(np.ones((8, 4, 2)))",
        text="Expected shape (None, 4), but input has incompatible shape (8, 4, 2)\x1b[0m",
        note=(
            "the model takes samples of shape (4,) and is given such of shape (4, 2): change x, "
            "or keras.Input() and make the model anew"
        ),
    ),
    "images without channels": Case(
        code="keras.Sequential([keras.Input((8, 8)), layers.Conv2D(2, 3, name='first')])",
        text=(
            "ValueError: Input 0 with name 'None' of layer 'first' is incompatible with the "
            "layer: expected min_ndim=4, found ndim=3. Full shape received: (None, 8, 8)"
        ),
        note=(
            "layer 'first' wants 4 axes, that of the samples counted in, and is given 3: images "
            "need an axis of channels, as of keras.Input((8, 8, 1)) and x[..., None]"
        ),
    ),
    "sequences without features": Case(
        code="keras.Sequential([keras.Input((4,)), layers.LSTM(3, name='first')])",
        text=(
            "ValueError: Input 0 with name 'None' of layer 'first' is incompatible with the "
            "layer: expected ndim=3, found ndim=2. Full shape received: (None, 4)"
        ),
        note=(
            "layer 'first' wants 3 axes, that of the samples counted in, and is given 2: "
            "sequences are (samples, steps, features), as of keras.Input((steps, 1))"
        ),
    ),
    "axes too many for a layer": Case(
        code="keras.Sequential([keras.Input((4, 3, 2)), layers.LSTM(3, name='first')])",
        text=(
            "ValueError: Input 0 with name 'None' of layer 'first' is incompatible with the "
            "layer: expected ndim=3, found ndim=4. Full shape received: (None, 4, 3, 2)"
        ),
        note="layer 'first' wants 3 axes, that of the samples counted in, and is given 4",
    ),
    "inputs exchanged": Case(
        code="two_inputs().fit([x, x], hot)",
        text=(
            "ValueError: Input 1 with name 'b' of layer 'functional_45' is incompatible with the "
            "layer: expected shape=(None, 2), found shape=(None, 4)"
        ),
        note=(
            "input 'b' takes samples of shape (2,) and is given such of shape (4,): are the "
            "inputs in the model's order? A dict names them"
        ),
    ),
    "small images": Case(
        code="keras.Sequential([keras.Input((2, 2, 1)), layers.Conv2D(2, 3)])",
        text="ValueError: Computed output size would be zero or negative. Received `inputs shape=",
        note=(
            "what reaches this layer is smaller than its kernel or pool: give it padding='same', "
            "pool less before it, or make keras.Input() larger"
        ),
    ),
    "memory": Case(
        code="tf.zeros((10**7, 10**7))",
        text=(
            "tensorflow.python.framework.errors_impl.ResourceExhaustedError: OOM when allocating "
            "tensor with shape[10000000,10000000] and type float"
        ),
        note=MEMORY,
    ),
}

PROVOKE = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np, tensorflow as tf
from keras import layers
x = np.random.default_rng(0).random((40, 4), dtype="float32")
label = np.arange(40) % 3
hot = np.eye(3, dtype="float32")[label]

def mlp(loss="categorical_crossentropy", units=3, optimizer="adam", metrics=None):
    model = keras.Sequential([keras.Input((4,)), layers.Dense(5, name="head"), layers.Dense(units)])
    if loss:
        model.compile(optimizer=optimizer, loss=loss, metrics=metrics)
    return model

def embedding():
    model = keras.Sequential([layers.Embedding(10, 3), layers.Flatten(), layers.Dense(1)])
    model.compile(loss="mse")
    return model

def two_inputs():
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    model = keras.Model([a, b], layers.Dense(3)(layers.Concatenate()([a, b])))
    model.compile(loss="mse")
    return model

def name(kind):
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"

errors = {}
for key, code in json.load(sys.stdin).items():
    try:
        eval(code)
    except Exception as error:
        errors[key] = [name(type(error)), str(error)]
print(json.dumps(errors))
"""

ACCEPTED = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras
refused = []
for room, names in json.load(sys.stdin).items():
    for name in names:
        try:
            getattr(keras, room).get(name)
        except Exception:
            refused.append(f"{room}: {name}")
print(json.dumps(refused))
"""


def run_keras(code: str, given: object) -> object:
    """Run a program that imports Keras in a process of its own; return what it prints last."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
        timeout=HANG_S,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def remote(text: str) -> RemoteError:
    """Return an error with this headline, or this message."""
    kind, colon, message = text.partition(": ")
    return RemoteError(kind, message) if colon and kind.isidentifier() else RemoteError("", text)


@pytest.mark.parametrize("name", CASES)
def test_texts(name: str) -> None:
    """Each text of Keras gets its line."""
    assert notes_for(remote(CASES[name].text)) == [CASES[name].note]


@pytest.mark.slow
@pytest.mark.tensorflow
def test_texts_are_those_of_keras() -> None:
    """The installed Keras, asked for the same errors, gets the same lines."""
    errors = run_keras(PROVOKE, {name: case.code for name, case in CASES.items()})
    assert isinstance(errors, dict)
    notes = {name: notes_for(RemoteError(*error)) for name, error in errors.items()}
    assert notes == {name: [case.note] for name, case in CASES.items()}


@pytest.mark.slow
@pytest.mark.tensorflow
def test_what_is_suggested_is_accepted() -> None:
    """Keras takes every name that could be suggested, in both spellings."""
    known = {
        room: sorted(
            (advice._identifiers(room, camel=True) | advice._identifiers(room, camel=False))
            - advice._IN_COMPILE
        )
        for room in advice._ROOMS.values()
    }
    assert all(known.values())
    assert run_keras(ACCEPTED, known) == []


@pytest.mark.parametrize(
    "text",
    [
        "ValueError: some other text",
        "ValueError: No loss to compute. Provide a `loss` argument in `compile()`.",
        "ValueError: Could not interpret loss identifier: <function f at 0x7f>",
        "ValueError: Could not interpret loss identifier: zzzzqqqq",
        "ValueError: Incompatible shapes: [2] vs. [3] [Op:Add]",
        "InvalidArgumentError: indices[0] = 17 is not in [0, 10) [Op:GatherV2]",
        "AttributeError: module 'numpy' has no attribute 'flaot32'",
        "KeyboardInterrupt: ",
    ],
)
def test_unknown_texts_get_nothing(text: str) -> None:
    """What the table does not know, or Keras explains itself, or has no like, gets no advice."""
    assert notes_for(remote(text)) == []


def test_dependents_get_nothing() -> None:
    """An error that tells of another one leaves the advice to that."""
    cause = remote(CASES["no compile"].text)
    assert notes_for(DependencyError(cause.type, cause.message, cause=cause)) == []


def test_no_data_is_repeated() -> None:
    """Labels and indices of the data are values of the user's: they do not come again."""
    for name in ("label too large", "embedding", "nested lists"):
        assert not {"7", "17", "0.85"} & set(CASES[name].note.split())
