"""A function that fails on one value."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows


def build(folder: Path, _python: str) -> Path:
    path = folder / "app.py"
    path.write_text(
        "def predict(x):\n    if (x == 666).any():\n        raise ValueError('poison')\n    return x.sum(axis=1)"
    )
    return path


CASE = Case(
    build,
    ask_tensors("FP64"),
    tensor_rows,
    {**refused("FP64", "BYTES"), "poison": (ask_tensors("FP64", value=666), "MODEL_ERROR")},
)
