"""A file that names the echo."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows


def build(folder: Path, _python: str) -> Path:
    path = folder / "any.echo"
    path.touch()
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {**refused("FP32", "FP64"), "poison": (ask_tensors("FP32", value=666), "MODEL_ERROR")},
    fault="salver_worker.runtimes.echo:Echo.predict:builtins.ValueError",
)
