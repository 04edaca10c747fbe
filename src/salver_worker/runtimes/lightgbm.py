"""A LightGBM booster, from the text that it is saved as.

Classifiers answer `label` and `probabilities`; all others `prediction`, which is what `Booster.predict` gives. NaN
stands for a missing value. Where the booster was trained on categories of pandas, callers send the categories, by
column where one is of text; a category that it does not know counts as missing, as in LightGBM itself.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, Iterable, List, Mapping, Sequence

import numpy as np

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature
from salver_worker.runtimes.classes import (
    LABEL,
    PREDICTION,
    PROBABILITIES,
    both_classes,
    class_rows,
    likeliest,
    value_rows,
    without,
)
from salver_worker.runtimes.lightgbm_categories import Columns, categorical_columns
from salver_worker.runtimes.openmp import let_threads_sleep, without_openmp

if TYPE_CHECKING:
    from salver_worker.arrays import Array

BINARY = ("binary",)
MULTICLASS = ("multiclass", "softmax", "multiclassova", "multiclass_ova", "ova", "ovr")
TAIL_BYTES = 4 * 1024 * 1024
END = b"\nend of trees"


def load(request: LoadRequest) -> LightgbmModel:
    let_threads_sleep()
    try:
        import lightgbm
    except OSError as error:
        raise without_openmp("LightGBM", error) from error
    header = read_header(request.path)
    try:
        booster = lightgbm.Booster(model_file=request.path)
    except lightgbm.basic.LightGBMError as error:
        raise LoadFailure("LightGBM %s cannot read the file: %s" % (lightgbm.__version__, error), fix=_FIX) from error
    return LightgbmModel(booster, header, request.threads, "lightgbm " + lightgbm.__version__)


_FIX = "Copy the file again, or name the version of LightGBM that saved it in a requirements.txt."


def read_header(path: str) -> Dict[str, str]:
    """What stands before the first tree, and the list of categorical features behind the last one.

    Raises LoadFailure for a file that is cut short, which LightGBM itself does not survive.
    """
    with open(path, "rb") as file:
        header = _pairs(file)
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        tail = file.read()
    is_old = header.get("version", "") in ("", "v1", "v2")
    if not is_old and END not in b"\n" + tail and not _holds_end(path):
        raise LoadFailure("the file is cut short: the mark after its last tree is missing", fix="Copy the file again.")
    return {**header, **_categorical(tail)}


def header_of(booster: Any) -> Dict[str, str]:
    """The same of a booster that is in memory already."""
    text = booster.model_to_string().encode()
    return {**_pairs(text.splitlines()), **_categorical(text[-TAIL_BYTES:])}


def _pairs(lines: Iterable[bytes]) -> Dict[str, str]:
    header: Dict[str, str] = {}
    for line in lines:
        if line.startswith(b"Tree="):
            break
        name, is_pair, value = line.decode("utf-8", "replace").rstrip("\r\n").partition("=")
        if is_pair:
            header[name] = value
    return header


def _categorical(tail: bytes) -> Dict[str, str]:
    start = b"[categorical_feature: "
    lines = [line for line in tail.splitlines() if line.startswith(start)]
    return {"categorical_feature": lines[-1][len(start) : -1].decode()} if lines else {}


def _holds_end(path: str) -> bool:
    """Whether the mark stands before the tail: parameters and importances may be long."""
    with open(path, "rb") as file:
        return any(line.startswith(END[1:]) for line in file)


class LightgbmModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, booster: Any, header: Mapping[str, str], threads: int, runtime_version: str) -> None:
        objective = header.get("objective", "").split()
        self._booster = booster
        self._threads = threads
        self._is_binary = objective[:1] and objective[0] in BINARY
        self._is_classifier = self._is_binary or (objective[:1] and objective[0] in MULTICLASS)
        self._columns: Columns = categorical_columns(booster, header)
        self._wants_label = self._wants_probabilities = True
        self.runtime_version = runtime_version
        self.signature = signature(self._columns.inputs, self._outputs(int(header.get("num_class", 1))))
        self.details = {"features": json.dumps(booster.feature_name())}
        if objective:
            self.details["objective"] = " ".join(objective)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        table = self._columns.table(inputs)
        answer: Array = np.asarray(self._booster.predict(table, num_threads=self._threads))
        return self._classes(answer) if self._is_classifier else {PREDICTION: answer}

    def leave_out(self, names: Sequence[str]) -> None:
        self.signature = without(self.signature, names)
        self._wants_label = LABEL not in names
        self._wants_probabilities = PROBABILITIES not in names

    def close(self) -> None:
        """Nothing to give back."""

    def _classes(self, answer: Array) -> Arrays:
        outputs = {}
        if self._wants_label:
            outputs[LABEL] = (answer > 0.5).astype(np.int64) if self._is_binary else likeliest(answer)
        if self._wants_probabilities:
            outputs[PROBABILITIES] = both_classes(answer) if self._is_binary else answer
        return outputs

    def _outputs(self, count: int) -> List[Dict[str, Any]]:
        return class_rows("FP64", max(2, count)) if self._is_classifier else value_rows("FP64", count)
