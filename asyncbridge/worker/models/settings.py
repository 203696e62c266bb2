"""What Keras and its backend keep for the whole process, or the GPU thread, as data and back."""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import keras
from keras.src.backend.common import global_state
from keras.src.random.seed_generator import GLOBAL_SEED_GENERATOR
from keras.src.utils.rng_utils import GLOBAL_RANDOM_SEED

from asyncbridge.worker.tensor_forms import array_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["read", "write"]

_NAMES = "object_name_uids"
"""How often Keras has given which name by itself."""


def read() -> dict[str, Any]:
    """Return the settings, and the states of the generators of random numbers."""
    generator = global_state.get_global_attribute(GLOBAL_SEED_GENERATOR)
    return {
        "backend": keras.backend.backend(),
        "floatx": keras.config.floatx(),
        "epsilon": keras.config.epsilon(),
        "image_data_format": keras.config.image_data_format(),
        "dtype_policy": keras.dtype_policies.serialize(keras.config.dtype_policy()),
        "interactive_logging": keras.config.is_interactive_logging_enabled(),
        "traceback_filtering": keras.config.is_traceback_filtering_enabled(),
        "seed": global_state.get_global_attribute(GLOBAL_RANDOM_SEED),
        "generator": None if generator is None else array_of(generator.state),
        "tensorflow": _read_tensorflow(),
        "torch": _read_torch(),
        "names": dict(global_state.get_global_attribute(_NAMES) or {}),
    }


def write(settings: Mapping[str, Any]) -> None:
    """Set all that ``read`` has found, in the thread that calls."""
    keras.config.set_floatx(settings["floatx"])
    keras.config.set_epsilon(settings["epsilon"])
    keras.config.set_image_data_format(settings["image_data_format"])
    policy = keras.dtype_policies.deserialize(settings["dtype_policy"])
    keras.config.set_dtype_policy(policy)
    _switch("interactive_logging", on=settings["interactive_logging"])
    _switch("traceback_filtering", on=settings["traceback_filtering"])
    global_state.set_global_attribute(GLOBAL_RANDOM_SEED, settings["seed"])
    _write_generator(settings["generator"])
    _write_tensorflow(settings["tensorflow"])
    _write_torch(settings["torch"])
    # Last: to make a generator counts names, too.
    names = defaultdict(int, settings["names"])
    global_state.set_global_attribute(_NAMES, names)


def _switch(name: str, *, on: bool) -> None:
    getattr(keras.config, f"{'enable' if on else 'disable'}_{name}")()


def _write_generator(state: Any) -> None:
    generator = None
    if state is not None:
        generator = keras.random.SeedGenerator(0)
        generator.state.assign(state)
    global_state.set_global_attribute(GLOBAL_SEED_GENERATOR, generator)


def _read_tensorflow() -> Any:
    """Return TensorFlow's global seed, and the state of what draws an operation's; None without one."""
    context = _context()
    generator = getattr(context, "_rng", None)
    if generator is None or context._seed is None:
        return None
    return [context._seed, generator.getstate()]


def _write_tensorflow(state: Any) -> None:
    if state is None:
        return
    seed, drawn = state
    sys.modules["tensorflow"].random.set_seed(seed)
    generator = getattr(_context(), "_rng", None)
    if generator is not None:
        generator.setstate(drawn)


def _context() -> Any:
    # No public name tells the seed.
    module = sys.modules.get("tensorflow.python.eager.context")
    return None if module is None else module.context()


def _read_torch() -> Any:
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_rng_state().numpy()


def _write_torch(state: Any) -> None:
    torch = sys.modules.get("torch")
    if state is not None and torch is not None:
        torch.set_rng_state(torch.tensor(state))
