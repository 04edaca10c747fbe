"""A classifier of pictures as its owner would serve it: one folder, one model.toml, no Python."""

from __future__ import annotations

import shutil
from pathlib import Path

MODEL_TOML = """
name = "squeezenet"
description = "Names what a picture shows."

[[inputs]]
name = "image"
feeds = "data"
convert = [
  "decode_image",
  { resize = { size = [227, 227], mode = "bilinear" } },
  { colour_order = "BGR" },
  { normalize = { mean = [104, 117, 123] } },
  { layout = "NCHW" },
]

[[outputs]]
reads = "prob"
convert = [{ top_k = { k = 5, labels = "synset.txt" } }]

[example]
inputs = { image = { file = "kitten.jpg" } }
expect = { classes = [["n02123159 tiger cat", "n02124075 Egyptian cat", "n02123045 tabby, tabby cat"]] }
"""
CLASSES = ["n02123159 tiger cat", "n02124075 Egyptian cat", "n02123045 tabby, tabby cat"]
PROBABILITIES = [0.410, 0.266, 0.248]
"""What this model gives for the kitten, highest first."""


def squeezenet_folder(folder: Path, data: Path) -> Path:
    """The model's folder, with the picture of its example."""
    folder.mkdir()
    for source in ("squeezenet_v1.1/squeezenet_v1.1.onnx", "squeezenet_v1.1/synset.txt", "images/kitten.jpg"):
        shutil.copy(data / source, folder)
    (folder / "model.toml").write_text(MODEL_TOML)
    return folder
