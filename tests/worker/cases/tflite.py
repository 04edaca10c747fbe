"""TensorFlow Serving's model of one column, whose file says one row and takes any number."""

from __future__ import annotations

import shutil
from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows
from runtime_process import real_data

MODEL = Path("tflite") / "saved_model_half_plus_two_tflite" / "00000123" / "model.tflite"


def build(folder: Path, _python: str) -> Path:
    return Path(shutil.copy(real_data() / MODEL, folder / "model.tflite"))


CASE = Case(
    build,
    ask_tensors("FP32", columns=1),
    tensor_rows,
    {**refused("FP32", "FP64"), "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT")},
    requirements=("ai-edge-litert",),
    slab_values=((1,), (2,)),
    many=8192,
    says=r"INFO: Created TensorFlow Lite XNNPACK delegate",
)
