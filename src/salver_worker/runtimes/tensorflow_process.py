"""How TensorFlow is set up in a worker, whatever it opens: few words, few threads, memory as it is needed."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import Any, Tuple

from salver_worker.errors import InputError

OPERATORS = ("tensorflow_text", "tensorflow_decision_forests")
"""Libraries that bring operators of their own with them, as soon as they are imported."""
NOISE = ("[[", "Detected at", "Node:", "Graph execution error", "Original stack", "(0)", "(1)")
MAX_WORDS = 300


def open_tensorflow() -> Any:
    """The module, quiet. Raises ImportError."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import tensorflow as tf

    tf.get_logger().setLevel("ERROR")
    for name in OPERATORS:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return tf


def limit(tensorflow: Any, threads: int) -> None:
    """For what runs eagerly, or as a function. To be called before anything is computed."""
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    for device in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(device, True)


def translated(tensorflow: Any, error: Exception) -> Exception:
    """A failure in TensorFlow as the worker tells of it: an operator that refuses its input was given a wrong one."""
    if isinstance(error, tensorflow.errors.InvalidArgumentError):
        return InputError("the model refuses the input: %s" % words_of(error))
    if isinstance(error, tensorflow.errors.ResourceExhaustedError):
        return MemoryError()
    return error


def words_of(error: Exception) -> str:
    """What an error of TensorFlow says, without the places in its graph."""
    lines = [line.strip() for line in str(getattr(error, "message", None) or error).splitlines()]
    said = [line for line in lines if line and not line.startswith(NOISE)]
    return (said[0] if said else type(error).__name__)[:MAX_WORDS]


def device_names(tensorflow: Any) -> Tuple[str, ...]:
    return tuple(device.name for device in tensorflow.config.list_physical_devices("GPU")) or ("CPU",)
