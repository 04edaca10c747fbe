"""Small models of PyTorch in all of their files, made in an environment that has it, with what they answer."""

from __future__ import annotations

from pathlib import Path

from framework_environments import framework_python, run_in

TORCH = ("torch==2.13.0", "safetensors==0.8.0")

NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, width: int = 4):
        super().__init__()
        self.layer = nn.Linear(width, 3)

    def forward(self, x):
        return torch.relu(self.layer(x))
"""

MAKE = """
import json, os, sys, warnings
import numpy as np
import torch
from torch import nn

warnings.simplefilter("ignore")
folder = sys.argv[1]
from model import Net

torch.manual_seed(0)
net = Net().eval()
x = torch.tensor(np.random.default_rng(1).standard_normal((6, 4)).astype(np.float32))
answers = {"x": x, "y": net(x)}


def at(name):
    path = os.path.join(folder, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    return path


def export(name, module, inputs, **options):
    torch.export.save(torch.export.export(module, inputs, **options), at(name))


class Two(nn.Module):
    def forward(self, x, scale, *, shift=None):
        y = x * scale
        return {"sum": y.sum(1), "parts": (y if shift is None else y + shift, y.argmax(1))}


class Conv(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 2, 3)

    def forward(self, image):
        return self.first(image).mean((2, 3)), self.first(image)


class Words(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 4)
        self.lines = nn.Linear(4, 2)

    def forward(self, ids):
        return self.lines(self.table(ids).mean(1))


class Mixing(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return torch.softmax(self.layer(x), 0)


class Loose(nn.Module):
    def forward(self, x):
        return x + 1


class Table(nn.Module):
    def forward(self, given: dict[str, torch.Tensor]):
        return given["a"] - given["b"]


class Half(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3).to(torch.bfloat16)

    def forward(self, x):
        return self.layer(x)


class Number(nn.Module):
    def forward(self, x: torch.Tensor, times: int):
        return x * times


rows = torch.export.Dim("rows")
torch.jit.script(net).save(at("script.pt"))
torch.jit.trace(net, x[:1]).save(at("traced.torchscript"))
torch.jit.script(Conv().eval()).save(at("conv.pt"))
torch.jit.script(Words().eval()).save(at("words.pt"))
torch.jit.script(Mixing().eval()).save(at("mixing.pt"))
torch.jit.script(Loose()).save(at("loose.pt"))
torch.jit.script(Table()).save(at("table.pt"))
torch.jit.script(Number()).save(at("number.pt"))
half = Half().eval()
torch.jit.script(half).save(at("half.pt"))
answers["half"] = half(x.bfloat16()).float()
export("net.pt2", net, (x[:2],), dynamic_shapes={"x": {0: rows}})
export("bounded.pt2", net, (x[:2],), dynamic_shapes={"x": {0: torch.export.Dim("rows", max=4)}})
export("fixed.pt2", net, (x[:1],))
wide = torch.export.Dim("wide", min=3, max=8)
export(
    "two.pt2",
    Two(),
    (x[:2], x[:2]),
    kwargs={"shift": x[:2]},
    dynamic_shapes={name: {0: rows, 1: wide} for name in ("x", "scale", "shift")},
)
export(
    "table.pt2", Table(), ({"a": x[:2], "b": x[:2]},), dynamic_shapes={"given": {"a": {0: rows}, "b": {0: rows}}}
)
torch.save(net.state_dict(), at("weights/net.pt"))
torch.save(
    {"state_dict": {"module." + name: value for name, value in net.state_dict().items()}, "epoch": 3},
    at("checkpoint/net.pth"),
)
torch.save(net.state_dict(), at("old/net.pt"), _use_new_zipfile_serialization=False)
torch.save(net, at("whole/net.pt"))
torch.save(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), at("standard/net.pt"))
from safetensors.torch import save_file

save_file(net.state_dict(), at("safe/net.safetensors"))
save_file(Net(7).state_dict(), at("wide/net.safetensors"))
json.dump({"width": 7, "name": "wide"}, open(at("wide/config.json"), "w"))
np.savez(at("answers.npz"), **{name: value.detach().numpy() for name, value in answers.items()})
"""
WITH_CODE = ("weights", "checkpoint", "old", "whole", "safe", "wide")


def torch_python() -> str:
    return framework_python(*TORCH)


def make_models(folder: Path) -> Path:
    """Fills the folder; `answers.npz` has `x`, six rows of four numbers, and what the net makes of them, `y`."""
    (folder / "model.py").write_text(NETS)
    (folder / "making.py").write_text(MAKE)  # PyTorch reads the source of what it scripts
    run_in(torch_python(), "import sys; sys.path.insert(0, sys.argv[1]); import making", folder)
    for name in WITH_CODE:
        (folder / name / "model.py").write_text(NETS)
    return folder
