"""SavedModels of TensorFlow, and models of TensorFlow Lite."""

from __future__ import annotations

from pathlib import Path

from salver.models.recognising.base import FileView, Recognition
from salver_worker.runtimes.specs import TENSORFLOW

LITE_MAGIC = (4, b"TFL3")


def recognise_saved_model(folder: Path) -> Recognition | None:
    if not any((folder / name).is_file() for name in TENSORFLOW.markers):
        return None
    return Recognition(runtime="tensorflow", artifact=folder, trust="code", label="TensorFlow SavedModel")


def recognise_graph_of_saved_model(view: FileView, _function: str | None) -> Recognition | None:
    """Its graph alone stands for the folder in which it lies."""
    return recognise_saved_model(view.path.parent) if view.path.name in TENSORFLOW.markers else None


def recognise_lite(view: FileView, _function: str | None) -> Recognition | None:
    offset, magic = LITE_MAGIC
    if not view.head.startswith(magic, offset):
        return None
    return Recognition(runtime="tflite", artifact=view.path, trust="data", label="TensorFlow Lite model")
