"""PyTorch: TorchScript, programs of `torch.export`, and weights with their module in Python.

All of them can run code as they are opened: TorchScript is a program, a module is Python, and `torch.export.load` falls
back on a full pickle and reads symbolic sizes with `eval`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict

from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.torch_device import chosen_device, start_torch
from salver_worker.runtimes.torch_export import open_export
from salver_worker.runtimes.torch_files import EXPORT, PICKLED, SCRIPT, WEIGHTS, kind_of
from salver_worker.runtimes.torch_model import Program, TorchModel
from salver_worker.runtimes.torch_module import open_pickled, open_weights
from salver_worker.runtimes.torchscript import open_script

OPENERS: Dict[str, Callable[[Any, LoadRequest, str], Program]] = {
    SCRIPT: open_script,
    EXPORT: open_export,
    WEIGHTS: open_weights,
    PICKLED: open_pickled,
}


def load(request: LoadRequest) -> TorchModel:
    torch = start_torch(request)
    kind = kind_of(request.path)
    device = chosen_device(torch, request)
    return TorchModel(torch, OPENERS[kind](torch, request, device), device, {"format": kind})
