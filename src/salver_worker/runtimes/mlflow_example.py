"""The input example that was saved with an MLflow model: it is run once, which shows what the model answers."""

from __future__ import annotations

import importlib
import sys
from typing import Any, NamedTuple, Optional

import numpy as np

from salver_worker.failures import describe
from salver_worker.runtimes.base import Arrays
from salver_worker.runtimes.mlflow_outputs import named_arrays


class Rehearsal(NamedTuple):
    """What the model answered, None where it was not asked, and whether twice the rows gave twice the answers."""

    answer: Optional[Arrays] = None
    keeps_rows: bool = True


def read_example(model: Any, path: str) -> Any:
    """None where there is none, or none that can be read."""
    if not getattr(model.metadata, "saved_input_example_info", None):
        return None
    try:
        return model.metadata.load_input_example(path)
    except Exception as error:  # noqa: BLE001  the example is not the model
        print("salver_worker: the model's input example cannot be read: %s" % describe(error), file=sys.stderr)
        return None


def rehearse(model: Any, example: Any) -> Rehearsal:
    if example is None:
        return Rehearsal()
    twice = _twice(example)
    if twice is None:
        return Rehearsal(named_arrays(model.predict(example)))
    answer = named_arrays(model.predict(twice))
    rows = len(next(iter(twice.values()))) if isinstance(twice, dict) else len(twice)
    return Rehearsal(answer, all(array.shape[:1] == (rows,) for array in answer.values()))


def _twice(example: Any) -> Any:
    """The example with its rows repeated; None for one whose rows cannot be told."""
    pandas: Any = importlib.import_module("pandas")
    if isinstance(example, pandas.DataFrame):
        return pandas.concat([example, example], ignore_index=True)
    if isinstance(example, np.ndarray) and example.ndim:
        return np.concatenate([example, example])
    if isinstance(example, list):
        return [*example, *example]
    if isinstance(example, dict) and example and all(isinstance(each, (list, np.ndarray)) for each in example.values()):
        return {name: _twice(each) for name, each in example.items()}
    return None
