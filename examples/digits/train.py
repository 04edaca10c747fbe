"""Trains a classifier of handwritten digits and writes it as a model folder that Salver serves.

    python examples/digits/train.py FOLDER

The folder gets `model.onnx`, `model.toml`, the names of the classes, an example, and under `samples/` the PNG pictures
of digits that the training never saw, each named for the digit it shows: `7-0042.png`.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skl2onnx import to_onnx
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
EXAMPLE = "seven"
INK = 16
"""The highest value of a pixel in the data set."""


def main(folder: Path) -> None:
    """Train, export, and say how good the result is."""
    digits = load_digits()
    seen, unseen, seen_targets, unseen_targets = train_test_split(
        digits.data.astype(np.float32), digits.target, test_size=0.2, random_state=0, stratify=digits.target
    )
    classifier = MLPClassifier(hidden_layer_sizes=(64,), max_iter=400, random_state=0).fit(seen, seen_targets)
    score = classifier.score(unseen, unseen_targets)
    print(f"trained on {len(seen)} digits; right on {score:.1%} of {len(unseen)} others")
    write_model(folder, classifier, seen[:1])
    write_samples(folder, unseen, unseen_targets)


def write_model(folder: Path, classifier: MLPClassifier, row: np.ndarray) -> None:
    """The classifier as ONNX, with probabilities as one tensor, beside its manifest and the names of its classes."""
    folder.mkdir(parents=True, exist_ok=True)
    model = to_onnx(classifier, row, options={"zipmap": False})
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    (folder / "labels.txt").write_text("".join(f"{name}\n" for name in NAMES))
    shutil.copy(Path(__file__).with_name("model.toml"), folder)


def write_samples(folder: Path, pictures: np.ndarray, targets: np.ndarray) -> None:
    """The pictures as PNG files, and one of them as the model's example."""
    samples = folder / "samples"
    samples.mkdir(exist_ok=True)
    for number, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        pixels = np.rint(picture.reshape(8, 8) * (255 / INK)).astype(np.uint8)
        Image.fromarray(pixels).save(samples / f"{target}-{number:04}.png")
    example = next(iter(sorted(samples.glob(f"{NAMES.index(EXAMPLE)}-*.png"))))
    shutil.copy(example, folder / "example.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
