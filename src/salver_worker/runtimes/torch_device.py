"""Where PyTorch computes, and with how many threads."""

from __future__ import annotations

import os
import sys
from typing import Any

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.options import text_option

OPTION = "device"
KINDS = ("cuda", "mps", "cpu")
"""The first that is there is taken."""


def start_torch(request: LoadRequest) -> Any:
    """The module torch, held to the model's threads; those that have nothing to do must not spin."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # read as the library is loaded
    import torch

    torch.set_num_threads(request.threads)
    if torch.get_num_interop_threads() != 1:
        torch.set_num_interop_threads(1)
    return torch


def chosen_device(torch: Any, request: LoadRequest) -> str:
    """As `device` says, else the best that is there. One that is asked for and missing costs speed, not the model."""
    wanted = text_option(request, OPTION)
    if wanted is None:
        return next(kind for kind in KINDS if _is_there(torch, kind))
    if wanted.partition(":")[0] not in KINDS:
        raise LoadFailure(
            "`runtime.device` is %r" % wanted,
            code="MANIFEST_INVALID",
            fix="Write cuda, cuda:1, mps or cpu.",
            where=["runtime", OPTION],
        )
    if _is_there(torch, wanted):
        return wanted
    print("salver_worker: the device %s is not there; the model runs on the CPU" % wanted, file=sys.stderr)
    return "cpu"


def _is_there(torch: Any, device: str) -> bool:
    kind, _, number = device.partition(":")
    if kind == "cuda":
        return bool(torch.cuda.is_available()) and int(number or 0) < torch.cuda.device_count()
    return kind == "cpu" or bool(torch.backends.mps.is_available())
