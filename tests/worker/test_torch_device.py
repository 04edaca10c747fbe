"""Where PyTorch is told to compute. A stand-in of torch says which devices a machine has: here is none of them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.torch_device import chosen_device


def machine(gpus: int = 0, *, has_mps: bool = False) -> Any:
    cuda = SimpleNamespace(is_available=lambda: gpus > 0, device_count=lambda: gpus)
    return SimpleNamespace(cuda=cuda, backends=SimpleNamespace(mps=SimpleNamespace(is_available=lambda: has_mps)))


def wanting(tmp_path: Path, device: str | None) -> LoadRequest:
    options = {} if device is None else {"device": device}
    path = str(tmp_path / "model.pt")
    return LoadRequest("m", 1, path, path, manifest={"runtime": options}, threads=1, batch_rows=8)


@pytest.mark.parametrize(
    ("there", "wanted", "chosen"),
    [
        (machine(2), None, "cuda"),
        (machine(2), "cuda:1", "cuda:1"),
        (machine(2), "cuda:2", "cpu"),
        (machine(2), "cpu", "cpu"),
        (machine(has_mps=True), None, "mps"),
        (machine(has_mps=True), "cuda", "cpu"),
        (machine(), None, "cpu"),
        (machine(), "mps", "cpu"),
    ],
)
def test_the_best_device_is_taken_or_the_one_that_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], there: Any, wanted: str | None, chosen: str
) -> None:
    assert chosen_device(there, wanting(tmp_path, wanted)) == chosen
    is_missed = wanted not in (None, chosen)
    assert (f"the device {wanted} is not there" in capsys.readouterr().err) == is_missed
