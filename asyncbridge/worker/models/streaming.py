"""Streams as Keras takes data: batch by batch, on any backend, and no further than it asks."""

from __future__ import annotations

import warnings
from collections import deque
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import keras
import numpy as np

# A data adapter is what `fit` takes besides arrays, generators and the like; Keras has no public
# name for the base class.
from keras.src.trainers.data_adapters import data_adapter_utils
from keras.src.trainers.data_adapters.generator_data_adapter import GeneratorDataAdapter

from asyncbridge.worker.stopping import CommandStopped, stop_asked
from asyncbridge.worker.streams import Feed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

__all__ = [
    "StreamAdapter",
    "adapted",
    "batches_of",
    "ending",
    "quiet_ends",
    "shortage",
    "validation_shortage",
    "were_cut",
]

BATCH_SIZE: Final = 32
"""What Keras takes when none is given."""
LOOK_AT: Final = 2
"""Batches that tell which sizes differ from batch to batch, as for Keras's generators."""


def adapted(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return a call's arguments with streams as Keras takes them.

    Raises:
        CommandStopped: The command is to stop before a batch has come.
        ValueError: A stream has no batch.
    """
    return {
        name: StreamAdapter(value) if isinstance(value, Feed) else value
        for name, value in arguments.items()
    }


@contextmanager
def quiet_ends(arguments: Mapping[str, Any]) -> Generator[None]:
    """Let streams end without the warning that Keras gives at every end it did not foresee.

    Raises:
        ValueError: A batch was of another shape; TensorFlow hides that in an error of its own.
    """
    adapters = [value for value in arguments.values() if isinstance(value, StreamAdapter)]
    with warnings.catch_warnings():
        if adapters:
            warnings.filterwarnings("ignore", message="Your input ran out of data")
        try:
            yield
        except Exception:
            for adapter in adapters:
                if adapter.misfit is not None:
                    raise adapter.misfit from None
            raise


def ending(arguments: Mapping[str, Any], callbacks: Any) -> Any:
    """Return a training's callbacks with those that see to the ends of its stream."""
    x, steps = arguments.get("x"), arguments.get("validation_steps")
    if not isinstance(callbacks, list):
        return callbacks
    if isinstance(arguments.get("validation_data"), StreamAdapter) and steps is not None:
        callbacks = [*callbacks, ValidationCallback(int(steps))]
    if not isinstance(x, StreamAdapter):
        return callbacks
    counted = x.num_batches is not None or arguments.get("steps_per_epoch") is not None
    end = EndCallback(x, looks=not counted)
    return [AfterEndCallback(end), *callbacks, end]


def shortage(callbacks: Any, epochs: int) -> list[int] | None:
    """Return how many batches a training had of how many, if its source ended before."""
    listed = callbacks if isinstance(callbacks, list) else []
    for end in listed:
        if isinstance(end, EndCallback) and end.ran_out:
            params: Any = end.params
            return [end.taken, int(params["steps"]) * epochs]
    return None


def validation_shortage(callbacks: Any) -> list[int] | None:
    """Return how many batches the validations had of how many, if there were fewer."""
    for each in callbacks if isinstance(callbacks, list) else []:
        if isinstance(each, ValidationCallback) and each.taken < each.planned:
            return [each.taken, each.planned]
    return None


class ValidationCallback(keras.callbacks.Callback):  # type: ignore[misc]  # as below
    """Counts the batches that a training validates with.

    Args:
        steps: How many each validation is to have.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.taken = self.planned = 0
        self._steps = steps
        self._step = 0

    def on_test_begin(self, logs: Mapping[str, Any] | None = None) -> None:
        """Count the steps of the validation anew."""
        self._step = 0
        self.planned += self._steps

    def on_test_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count the steps that have been taken since."""
        self.taken += batch + 1 - self._step
        self._step = batch + 1


class EndCallback(keras.callbacks.Callback):  # type: ignore[misc]  # keras has no types
    """Ends an epoch with its last batch, where nobody knows how many there are.

    Keras itself takes one more step then, which finds no data; but an optimizer that counts steps,
    and what draws random numbers, has moved on by that. The last callback, for others may end a
    training.

    Args:
        adapter: The training's stream.
        looks: Whether to look for the end after each batch.
    """

    def __init__(self, adapter: StreamAdapter, *, looks: bool) -> None:
        super().__init__()
        self._adapter = adapter
        self._looks = looks
        self.ended = False
        """Whether the training is to go on with the next epoch."""
        self.ran_out = False
        """Whether the source ended before the steps that were asked for."""
        self.taken = 0
        """Batches that the training has taken."""
        self._step = 0

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Count the steps of the epoch anew."""
        self._step = 0

    def on_train_batch_end(self, batch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Wait for the next batch; if there is none, leave the epoch."""
        self.taken += batch + 1 - self._step
        self._step = batch + 1
        model: Any = self.model
        if self._looks and not model.stop_training and self._adapter.is_at_end():
            model.stop_training = True
            self.ended = not self._adapter.was_cut

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Begin no other epoch with a stream that gives nothing any more."""
        model: Any = self.model
        model.stop_training |= self._adapter.was_cut
        params: Any = self.params
        steps = params.get("steps")
        if steps is None or model.stop_training:
            return
        goes_on = self._step < steps or epoch + 1 < params["epochs"]
        if goes_on and self._adapter.has_run_out() and not self._adapter.was_cut:
            # Another epoch would be empty, and its loss, of no batch, zero.
            self.ran_out = model.stop_training = True


class AfterEndCallback(keras.callbacks.Callback):  # type: ignore[misc]  # as above
    """Lets the training go on after an epoch; the first callback, for others may end it."""

    def __init__(self, end: EndCallback) -> None:
        super().__init__()
        self._end = end

    def on_epoch_end(self, epoch: int, logs: Mapping[str, Any] | None = None) -> None:
        """Take the sign back by which the batches of this epoch were left."""
        model: Any = self.model
        if self._end.ended:
            self._end.ended = model.stop_training = False


def were_cut(arguments: Mapping[str, Any]) -> bool:
    """Tell whether a stream ended early, because the command is to stop."""
    return any(isinstance(value, StreamAdapter) and value.was_cut for value in arguments.values())


class StreamAdapter(GeneratorDataAdapter):  # type: ignore[misc]  # keras has no types
    """Gives Keras the batches of a stream; each epoch begins a turn of it.

    Of one whose length nobody knows, the next batch is waited for before Keras asks. Else nothing is asked for ahead: the client keeps batches ready, and a pipeline's thread that waits
    for one more would hold up the end of a training.
    """

    def __init__(self, feed: Feed) -> None:
        self.misfit: ValueError | None = None
        """What was wrong with a batch's shape."""
        self._feed = feed
        feed.holds_all = True  # threads of a pipeline ask for what the GPU thread waits for
        self._turn = iter(feed)
        self._first_batches = list(map(self._made, islice(self._turn, LOOK_AT)))
        self._unused: list[Any] = list(self._first_batches)
        self._ahead: deque[Any] = deque()
        self._is_fresh = True
        self._output_signature = None
        self.generator = self._batches
        if not self._first_batches:
            if stop_asked():
                raise CommandStopped("no batch has come")
            raise ValueError("the stream ended without a batch: a source gives at least one")

    @property
    def was_cut(self) -> bool:
        """Whether it ended early, because the command is to stop."""
        return self._feed.was_cut

    @property
    def num_batches(self) -> Any:
        """How many batches an epoch has, if anybody knows."""
        return self._feed.steps

    def is_at_end(self) -> bool:
        """Wait for the next batch; tell whether there is none."""
        if not self._unused and not self._ahead:
            self._ahead.extend(islice(self._turn, 1))
        return not self._unused and not self._ahead

    def has_run_out(self) -> bool:
        """Tell whether a source that cannot begin anew has nothing for a further epoch."""
        return not self._feed.restarts and self.is_at_end()

    def get_tf_dataset(self) -> Any:
        """Return a pipeline of the batches: Keras's own asks for some ahead."""
        import tensorflow as tf  # noqa: PLC0415 - of one backend alone

        signature = data_adapter_utils.get_tensor_spec(self._first_batches)
        tensors = partial(self._tensors, signature)
        dataset = tf.data.Dataset.from_generator(tensors, output_signature=signature)
        options = tf.data.Options()
        options.experimental_optimization.inject_prefetch = False
        options.autotune.enabled = False
        return dataset.with_options(options)

    def _tensors(self, signature: Any) -> Iterator[Any]:
        for number, batch in enumerate(self._batches()):
            if _is_flat(batch):
                self._check_shapes(batch, signature, number)
                yield batch
            else:
                yield keras.tree.map_structure(_as_tensor, batch)

    def _check_shapes(self, batch: tuple[Any, ...], signature: Any, number: int) -> None:
        """See to it that a batch has the shapes that the first ones have told.

        Raises:
            ValueError: It has others.
        """
        for name, part, told in zip(("x", "y", "sample_weight"), batch, signature, strict=False):
            if not told.shape.is_compatible_with(part.shape):
                sizes = ", ".join("any" if size is None else str(size) for size in told.shape)
                self.misfit = ValueError(
                    f"batch {number} of the stream: {name} has the shape {part.shape}, and the first "
                    f"two batches told ({sizes}): where these two are alike, all are; let sizes "
                    "that change differ in them, or pad them"
                )
                raise self.misfit

    def _batches(self) -> Iterator[Any]:
        """Yield the batches of a turn; those that were looked at come first."""
        if not self._is_fresh:
            self._turn = iter(self._feed)
            self._unused = []
            if self._feed.restarts:
                self._ahead.clear()
        # Other backends look at a batch before they train: it must not be lost by that.
        self._is_fresh = keras.backend.backend() != "tensorflow" and bool(self._unused)
        if self._is_fresh:
            yield self._unused[0]
            self._is_fresh = False
            del self._unused[0]
        while self._unused:
            yield self._unused.pop(0)
        while not self.is_at_end():
            yield self._made(self._ahead.popleft())

    def _made(self, batch: Any) -> tuple[Any, ...]:
        """Return a batch as Keras takes it: a tuple, with tuples for lists in it."""
        whole = batch if isinstance(batch, tuple) else (batch,)
        if not 1 <= len(whole) <= 3:
            raise ValueError(
                f"a batch is x, (x, y) or (x, y, sample_weight), not a tuple of {len(whole)}"
            )
        made: Any = whole if _is_flat(whole) else keras.tree.lists_to_tuples(whole)
        return tuple(map(_with_floats, made)) if self._feed.floats else tuple(made)


def _is_flat(batch: tuple[Any, ...]) -> bool:
    """Tell a tuple of plain arrays: Keras's walks through structures take as long as small steps."""
    return all(type(part) is np.ndarray for part in batch)


def batches_of(x: Any, batch_size: int | None, steps: int | None) -> Iterator[Any]:
    """Yield the inputs of batches: of a stream, or of arrays."""
    found = _inputs(x) if isinstance(x, Feed) else _sliced(x, batch_size or BATCH_SIZE)
    return islice(found, steps)


def _inputs(feed: Feed) -> Iterator[Any]:
    for batch in feed:
        x = batch[0] if isinstance(batch, tuple) else batch
        yield _with_floats(x) if feed.floats else x


def _sliced(x: Any, size: int) -> Iterator[Any]:
    x = _with_floats(x)
    for start in range(0, len(keras.tree.flatten(x)[0]), size):
        yield keras.tree.map_structure(lambda part, at=start: part[at : at + size], x)


def _with_floats(x: Any) -> Any:
    """Return data with its floats as those that Keras computes with, as it does with whole arrays."""
    floatx = keras.config.floatx()

    def cast(part: Any) -> Any:
        is_float = isinstance(part, np.ndarray) and part.dtype.kind == "f"
        return part.astype(floatx, copy=False) if is_float else part

    return keras.tree.map_structure(cast, x)


def _as_tensor(part: Any) -> Any:
    if part is None:
        import tensorflow as tf  # noqa: PLC0415 - as above

        optional: Any = tf.experimental.Optional
        return optional.empty(None)
    if data_adapter_utils.is_scipy_sparse(part):
        return data_adapter_utils.scipy_sparse_to_tf_sparse(part)
    return part
