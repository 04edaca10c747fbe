"""A layer, saved by `torch.export` with a free number of rows."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_tensors, refused, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import torch

layer = torch.nn.Linear(2, 3).eval()
rows = torch.export.Dim("rows")


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        torch._assert_async((x != 666).all(), "poison")
        return self.layer(x)


torch.export.save(torch.export.export(Net(), (torch.ones(2, 2),), dynamic_shapes={"x": {0: rows}}), sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model.pt2"
    run_in(python, MAKE, path)
    return path


CASE = Case(
    build,
    ask_tensors("FP32"),
    tensor_rows,
    {
        **refused("FP32", "FP64"),
        "shape": (ask_tensors("FP32", columns=3), "INVALID_INPUT"),
        "poison": (ask_tensors("FP32", value=666), "MODEL_ERROR"),
    },
    requirements=("torch==2.13.0", "safetensors==0.8.0"),
)
