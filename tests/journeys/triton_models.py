"""Models that the tests with Triton's clients share."""

from __future__ import annotations

MIRROR = """
import numpy as np

WHOLE = [sign + size for sign in ("INT", "UINT") for size in ("8", "16", "32", "64")]
NAMES = ["BOOL", *WHOLE, "FP16", "BF16", "FP32", "FP64"]
SPECS = [{"name": name, "datatype": name, "shape": [-1, 2]} for name in [*NAMES, "BYTES"]]
SIGNATURE = {"inputs": SPECS, "outputs": SPECS}

def predict(**inputs):
    return inputs
"""
COUNTER = """
import os
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "x", "datatype": "INT64", "shape": [-1]}],
    "outputs": [
        {"name": "total", "datatype": "INT64", "shape": [-1]},
        {"name": "process", "datatype": "INT64", "shape": [-1]},
    ],
}
TOTALS = {}

def predict(x: np.ndarray, sequence_id=None, sequence_start: bool = False, sequence_end: bool = False):
    if sequence_start:
        TOTALS[sequence_id] = 0
    TOTALS[sequence_id] = TOTALS.get(sequence_id, 0) + int(x.sum())
    total = TOTALS.pop(sequence_id) if sequence_end else TOTALS[sequence_id]
    return {"total": np.full(len(x), total), "process": np.full(len(x), os.getpid())}
"""
TEXT = """
import time
import numpy as np

SIGNATURE = {
    "inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [
        {"name": "text_output", "datatype": "BYTES", "shape": [-1]},
        {"name": "length", "datatype": "INT32", "shape": [-1]},
    ],
}

def predict(text_input: np.ndarray, times: int = 1, sleep: float = 0.0):
    time.sleep(sleep)
    words = [each * times for each in text_input]
    return {"text_output": np.array(words, object), "length": np.array([len(word) for word in words], np.int32)}
"""
