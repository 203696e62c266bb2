"""What to do about an error of Keras: one line for those that a newcomer meets.

Keras and TensorFlow say what was wrong in their own terms. The table at the end of this file
knows their texts, as of the release that the mirrors are made from; a text that it does not
know gets no advice. Values of the data are never repeated, shapes and names are.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from importlib import import_module
from typing import TYPE_CHECKING

from asyncbridge.errors import DependencyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from asyncbridge.errors import RemoteError

    Advice = Callable[[re.Match[str]], str | None]

__all__ = ["notes_for"]

_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_LISTED = 12
"""So few names are listed when none is like the one that was meant."""

_ROOMS = {
    "activation function": "activations",
    "constraint": "constraints",
    "initializer": "initializers",
    "loss": "losses",
    "metric": "metrics",
    "optimizer": "optimizers",
    "regularizer": "regularizers",
}
# What Keras finds by no name: bases, what wants arguments, and a few that it leaves out.
_NO_IDENTIFIERS = {
    "activations": (),
    "constraints": ("Constraint",),
    "initializers": (
        *("Constant", "IdentityInitializer", "Initializer", "OrthogonalInitializer"),
        *("STFTInitializer", "constant"),
    ),
    "losses": (
        "CategoricalGeneralizedCrossEntropy",
        "Loss",
        "categorical_generalized_cross_entropy",
    ),
    "metrics": (
        *("IoU", "MeanIoU", "MeanMetricWrapper", "Metric", "OneHotIoU", "OneHotMeanIoU"),
        *("PrecisionAtRecall", "RecallAtPrecision", "SensitivityAtSpecificity"),
        *("SpecificityAtSensitivity", "binary_focal_crossentropy"),
        *("categorical_focal_crossentropy", "huber", "log_cosh"),
    ),
    "optimizers": ("Lamb", "LossScaleOptimizer", "MultiOptimizer", "Optimizer", "OptimizerMap"),
    "regularizers": ("Regularizer", "l1_l2"),
}
_NO_OBJECTS = frozenset({"deserialize", "get", "legacy", "schedules", "serialize"})
_IN_COMPILE = frozenset({"acc", "ce", "crossentropy"})
_SHORT = frozenset({"bce", "kld", "mae", "mape", "mse", "msle"})
"""What Keras has no objects of these names for, but takes as losses and metrics."""


def notes_for(error: RemoteError) -> list[str]:
    """Return what tells a newcomer what to do about an error of Keras; often nothing.

    Args:
        error: What the worker raised. One that only tells of another error gets no advice:
            that other one has it.
    """
    if isinstance(error, DependencyError):
        return []
    # Keras colours parts of its messages for a terminal.
    text = _ESCAPES.sub("", f"{error.type}: {error.message}")
    for pattern, advise in _TABLE.items():
        match = pattern.search(text)
        if match is not None and (note := advise(match)) is not None:
            return [note]
    return []


# --- names -------------------------------------------------------------------------------


def _misspelt(match: re.Match[str]) -> str | None:
    kind, wrong = match["kind"], match["name"]
    names = _identifiers(_ROOMS[kind], camel=wrong[:1].isupper())
    return _suggest(f"{wrong!r} is no {kind} of Keras", wrong, names)


def _unknown_class(match: re.Match[str]) -> str | None:
    wrong = match["name"]
    classes = [name for name in _public("layers") if name[:1].isupper()]
    return _suggest(f"Keras has no layer {wrong!r}", wrong, classes)


def _missing_name(match: re.Match[str]) -> str:
    module, wrong = match["module"], match["name"]
    return f"the worker's Keras has no {module}.{wrong}: {_versions()}"


def _unknown_argument(match: re.Match[str]) -> str:
    return f"the worker's Keras does not know the argument: {_versions()}"


def _versions() -> str:
    toplevel = import_module("asyncbridge.models.toplevel")
    return (
        f"the mirrors are those of Keras {toplevel.KERAS_VERSION}, install that release where "
        "the worker runs, or use what both have"
    )


def _suggest(fact: str, wrong: str, names: Iterable[str]) -> str | None:
    known = sorted(set(names))
    # By small letters: the casing is often all that is wrong.
    by_small = {name.lower(): name for name in known}
    close = [by_small[small] for small in get_close_matches(wrong.lower(), by_small)]
    if close:
        return f"{fact}; did you mean {_listed(close, 'or')}?"
    return f"{fact}; it has {_listed(known, 'and')}" if 0 < len(known) <= _LISTED else None


def _identifiers(room: str, *, camel: bool) -> set[str]:
    """Return the names by which Keras finds the objects of a room, in one of its spellings."""
    names = set(_public(room)) - _NO_OBJECTS - set(_NO_IDENTIFIERS[room])
    if room == "metrics":
        names |= _IN_COMPILE  # which makes metrics of them, by the loss
    if room in {"losses", "metrics"}:
        names |= _SHORT if room == "losses" else _SHORT - {"kld"}
    if camel:
        return {name for name in names if name[:1].isupper()}
    spell = str.lower if room == "optimizers" else _snake_case
    return {spell(name) if name[:1].isupper() else name for name in names}


def _snake_case(name: str) -> str:
    # Keras's own rule, with what it makes of BinaryIoU.
    spaced = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced).lower()


def _public(room: str) -> list[str]:
    # Not at the top: rooms are large, and few programs need one for its names alone.
    names: list[str] = import_module(f"asyncbridge.models.{room}").__all__
    return names


def _listed(names: list[str], word: str) -> str:
    shown = [repr(name) for name in names]
    return f" {word} ".join(filter(None, [", ".join(shown[:-1]), shown[-1]]))


# --- shapes and numbers ------------------------------------------------------------------


def _label_range(match: re.Match[str]) -> str:
    outputs = int(match["end"])
    if outputs == 1:
        return (
            "the model's last layer has 1 output, and a sparse categorical loss wants one for "
            "each class: for two classes use loss='binary_crossentropy' with "
            "activation='sigmoid', for more give the last layer as many units as classes"
        )
    return (
        f"the model's last layer has {outputs} outputs, so labels must be 0 to {outputs - 1}: "
        "count the classes from 0, or give the last layer as many units as there are classes; "
        "one-hot rows go with loss='categorical_crossentropy'"
    )


def _embedding_range(match: re.Match[str]) -> str | None:
    if "embedding" not in match.string.lower():
        return None
    size = int(match["end"])
    return (
        f"an Embedding layer with input_dim={size} takes the integers 0 to {size - 1}: make "
        "input_dim the largest one in the data plus 1, 0 for padding counted in"
    )


def _sizes(match: re.Match[str]) -> str:
    sizes = re.findall(r"'(\w+)' sizes: ([\d, ]+)", match.string)
    counts = [f"{' and '.join(size.split(', '))} in {name}" for name, size in sizes]
    return (
        f"the numbers of samples are {', '.join(counts)}: all arrays of x, y and sample_weight "
        "must be equally long along their first axis"
    )


def _ranks(match: re.Match[str]) -> str:
    target, output = _shape(match["target"]), _shape(match["output"])
    if len(output) != 2 or len(target) != 1:
        return _misfit(match)
    units = output[-1]
    return (
        f"y has one number for each sample and the model {units} outputs: for labels 0, 1, 2 … "
        "use loss='sparse_categorical_crossentropy', or make y one-hot by "
        f"keras.utils.to_categorical(y, {units}); for any other number give the last layer "
        "1 unit"
    )


def _one_hot_in_sparse(match: re.Match[str]) -> str:
    return (
        f"y has {_shape(match['target'])[-1]} columns, and a sparse loss wants one label for "
        "each sample: use loss='categorical_crossentropy' for one-hot rows, or pass "
        "y.argmax(axis=-1)"
    )


def _shapes(match: re.Match[str]) -> str:
    target, output = _shape(match["target"]), _shape(match["output"])
    if target[1:] == output[1:]:
        return f"y has {target[0]} samples and x has {output[0]}: they must be equally long"
    if len(target) == len(output) == 2:
        return (
            f"y has {_count(target[1], 'column')} and the model's last layer "
            f"{_count(output[1], 'unit')}: they must be as many"
        )
    return _misfit(match)


def _misfit(match: re.Match[str]) -> str:
    return (
        f"y has the shape {match['target']} and the model's output {match['output']}, None "
        "being any number of samples: give y and the last layer the same shape"
    )


def _loss_shapes(match: re.Match[str]) -> str | None:
    if "compile_loss" not in match.string and "compile_metrics" not in match.string:
        return None
    return (
        f"{match['one']} and {match['other']} are the shapes of y and of the model's output in "
        "the loss, and do not fit: y must have one value for each unit of the last layer"
    )


def _logits(match: re.Match[str]) -> str:
    units, columns = match["logits"].split(",")[-1], match["labels"].split(",")[-1]
    return (
        f"y has {_count(columns, 'column')} and the model's last layer {_count(units, 'unit')}: "
        "they must be as many"
    )


def _label_shape(match: re.Match[str]) -> str:
    return (
        f"y has the shape {match['labels']} and the model's output {match['logits']}: a sparse "
        "loss wants one label for each sample, of the output's shape without the last axis"
    )


def _features(match: re.Match[str]) -> str:
    axis, wanted, layer = int(match["axis"]), match["wanted"], match["layer"]
    found = _shape(match["shape"])[axis]
    what = "features (the last axis)" if axis == -1 else f"values on axis {axis}"
    return (
        f"layer {layer!r} was made for {wanted} {what} and is given {found}: x must have as "
        "many as keras.Input() said, or the first data, when the model was made"
    )


def _input_shape(match: re.Match[str]) -> str:
    wanted, found = _shape(match["wanted"]), _shape(match["found"])
    if len(found) == len(wanted) - 1:
        return (
            "the first axis of the data is that of the samples, and is missing: pass x[None] "
            "for a single sample, and batch() a tf.data pipeline"
        )
    return (
        f"the model takes samples of shape {_sample(wanted)} and is given such of shape "
        f"{_sample(found)}: change x, or keras.Input() and make the model anew"
    )


def _axes(match: re.Match[str]) -> str:
    wanted, found, shape = int(match["wanted"]), int(match["found"]), _shape(match["shape"])
    start = (
        f"layer {match['layer']!r} wants {wanted} axes, that of the samples counted in, and is "
        f"given {found}"
    )
    if found != wanted - 1:
        return start
    if wanted == 3:
        return f"{start}: sequences are (samples, steps, features), as of keras.Input((steps, 1))"
    added = _sample((*shape, "1"))
    return f"{start}: images need an axis of channels, as of keras.Input({added}) and x[..., None]"


def _expected_shape(match: re.Match[str]) -> str:
    wanted, found = _sample(_shape(match["wanted"])), _sample(_shape(match["found"]))
    return (
        f"input {match['input']!r} takes samples of shape {wanted} and is given such of shape "
        f"{found}: are the inputs in the model's order? A dict names them"
    )


def _shape(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\w+", text))


def _count(number: str, noun: str) -> str:
    return f"{number} {noun}" if number == "1" else f"{number} {noun}s"


def _sample(shape: tuple[str, ...]) -> str:
    """Return the shape of one sample, as Python writes a tuple."""
    rest = shape[1:]
    return f"({', '.join(rest)}{',' if len(rest) == 1 else ''})"


# --- the table ---------------------------------------------------------------------------


def _say(text: str) -> Advice:
    return lambda match: text


_SHAPE = r"\((?:None|\d+)?(?:, ?(?:None|\d+))*,?\)"
_BOTH = rf"Received: target\.shape=(?P<target>{_SHAPE}), output\.shape=(?P<output>{_SHAPE})"
_LAYER = r"of layer '(?P<layer>[^']*)' is incompatible with the layer: "
_NO_NUMBERS = _say(
    "Keras trains on numbers: number text classes by numpy.unique(y, return_inverse=True)[1], "
    "and read text with a keras.layers.StringLookup or TextVectorization layer; an array of "
    "objects needs astype('float32')"
)
_TEXTS: dict[str, Advice] = {
    # Names.
    rf"Could not interpret (?P<kind>{'|'.join(_ROOMS)}) identifier: (?P<name>[A-Za-z]\w{{0,60}})$": (
        _misspelt
    ),
    r"Could not locate class '(?P<name>[A-Za-z]\w{0,60})'": _unknown_class,
    r"module '(?P<module>keras(?:\.\w+)*)' has no attribute '(?P<name>\w+)'": _missing_name,
    r"Unrecognized keyword arguments passed to \w+": _unknown_argument,
    r"Argument\(s\) not recognized: ": _unknown_argument,
    r"TypeError: [\w.]+\(\) got an unexpected keyword argument": _unknown_argument,
    # What goes wrong before there are shapes.
    r"You must call `compile\(\)` before using the model": _say(
        "write model.compile(optimizer='adam', loss=...) before fit(), evaluate() and "
        "train_on_batch(); predict() needs none"
    ),
    r"Data cardinality is ambiguous": _sizes,
    r"UnboundLocalError: .*'batch_outputs'": _say(
        "x has no samples: its first axis, which counts them, is 0 long"
    ),
    r"ValueError: None values not supported\.": _say(
        "the loss compares y with the outputs, and there is no y: pass one"
    ),
    r"Invalid dtype: (?:str|bytes|string|object)": _NO_NUMBERS,
    r"Cast string to \w+ is not supported": _NO_NUMBERS,
    r"Invalid dtype: (?:datetime|timedelta)64": _say(
        "Keras trains on numbers: make numbers of the times, as by x.astype('int64')"
    ),
    r"Unrecognized data type: ": _say(
        "what is made in the worker must be an array, a dict or list of arrays, a "
        "tf.data.Dataset or a keras.utils.PyDataset; numpy.asarray() makes an array of lists"
    ),
    # The loss: y against the outputs.
    r"label value of -?\d+ which is outside the valid range of \[0, (?P<end>\d+)\)": _label_range,
    rf"must have the same rank \(ndim\)\. {_BOTH}": _ranks,
    rf"must have rank \(ndim\) `target\.ndim - 1`\. {_BOTH}": _one_hot_in_sparse,
    rf"must have the same shape\. {_BOTH}": _shapes,
    r"Dimensions must be equal.* input shapes: (?P<one>\[[\d?,]*\]), (?P<other>\[[\d?,]*\])": (
        _loss_shapes
    ),
    r"Incompatible shapes: (?P<one>\[[\d,]*\]) vs\. (?P<other>\[[\d,]*\])": _loss_shapes,
    r"must be broadcastable: logits_size=\[(?P<logits>[\d,]+)\] labels_size=\[(?P<labels>[\d,]+)\]": (
        _logits
    ),
    rf"labels\.shape=(?P<labels>{_SHAPE}) and logits\.shape=(?P<logits>{_SHAPE})": _label_shape,
    # The inputs: x against the layers.
    r"indices\[[\d,]*\] = -?\d+ is not in \[0, (?P<end>\d+)\)": _embedding_range,
    rf"{_LAYER}expected axis (?P<axis>-?\d+) of input shape to have value (?P<wanted>\d+), "
    rf"but received input with shape (?P<shape>{_SHAPE})": _features,
    rf"Expected shape (?P<wanted>{_SHAPE}), but input has incompatible shape (?P<found>{_SHAPE})": (
        _input_shape
    ),
    rf"{_LAYER}expected (?:min_)?ndim=(?P<wanted>\d+), found ndim=(?P<found>\d+)\. "
    rf"Full shape received: (?P<shape>{_SHAPE})": _axes,
    rf"with name '(?P<input>[^']*)' {_LAYER}expected shape=(?P<wanted>{_SHAPE}), "
    rf"found shape=(?P<found>{_SHAPE})": _expected_shape,
    r"Computed output size would be zero or negative": _say(
        "what reaches this layer is smaller than its kernel or pool: give it padding='same', "
        "pool less before it, or make keras.Input() larger"
    ),
    # The machine.
    r"(?:ResourceExhausted|OutOfMemory|Memory)Error: |RESOURCE_EXHAUSTED|OOM when allocating": _say(
        "the worker's device has too little memory for this step: lower batch_size (32 when "
        "not given), or make the layers smaller"
    ),
}
_TABLE = {re.compile(text): advise for text, advise in _TEXTS.items()}
