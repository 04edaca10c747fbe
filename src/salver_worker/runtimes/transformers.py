"""Models of Hugging Face, from a folder: nothing is ever fetched, and no code of a model is run untold."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Mapping

import numpy as np

from salver_worker.arrays import NUMPY_TYPES
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, signature
from salver_worker.runtimes.options import text_option
from salver_worker.runtimes.torch_device import chosen_device, start_torch
from salver_worker.runtimes.transformers_answers import Answer
from salver_worker.runtimes.transformers_embeddings import Embed
from salver_worker.runtimes.transformers_generation import Generate, Rewrite
from salver_worker.runtimes.transformers_media import ClassifyImages, ClassifySounds, WriteDown
from salver_worker.runtimes.transformers_parts import Parts, open_parts, read_json
from salver_worker.runtimes.transformers_streaming import parts_of
from salver_worker.runtimes.transformers_tasks import chosen_task
from salver_worker.runtimes.transformers_text import Classify, FillMask, Tokens, ZeroShot

if TYPE_CHECKING:
    from salver_worker.arrays import Array

VARIABLES = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
"""Read by the library as it is imported."""

RUNNERS: Dict[str, Callable[[Parts], Any]] = {
    "text-classification": Classify,
    "zero-shot-classification": ZeroShot,
    "token-classification": Tokens,
    "question-answering": Answer,
    "fill-mask": FillMask,
    "text-generation": Generate,
    "text2text-generation": Rewrite,
    "feature-extraction": Embed,
    "image-classification": ClassifyImages,
    "audio-classification": ClassifySounds,
    "automatic-speech-recognition": WriteDown,
}


def load(request: LoadRequest) -> TransformersModel:
    os.environ.update(VARIABLES)
    os.environ.setdefault("RAYON_NUM_THREADS", str(request.threads))
    torch = start_torch(request)
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    config = read_json(request.path, "config.json")
    if not isinstance(config, dict):
        raise LoadFailure("the folder has no config.json", fix="Save the model with `save_pretrained`.")
    task = chosen_task(text_option(request, "task"), config)
    device = chosen_device(torch, request)
    parts = open_parts(torch, transformers, request, device, task.auto, task.reads)
    details = {"task": task.name, "device": device, "architecture": type(parts.model).__name__}
    runner = RUNNERS[task.name](parts)
    kind = WritingModel if isinstance(runner, Generate) else TransformersModel
    return kind(runner, "transformers %s" % transformers.__version__, details)


class TransformersModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, runner: Any, runtime_version: str, details: Dict[str, str]) -> None:
        self._runner = runner
        self.signature = signature(runner.inputs, runner.outputs)
        self.runtime_version = runtime_version
        self.details = {**details, **getattr(runner, "details", {})}

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        if not all(len(array) for array in inputs.values()):
            return {row["name"]: _nothing(row) for row in self.signature["outputs"]}
        outputs: Arrays = self._runner.run(inputs, parameters)
        return outputs

    def close(self) -> None:
        """Nothing to give back."""


class WritingModel(TransformersModel):
    """One whose answer can be read as it is written."""

    def predict_parts(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
        return parts_of(self._runner, inputs, parameters)


def _nothing(row: Mapping[str, Any]) -> Array:
    """An output without rows."""
    dtype = NUMPY_TYPES.get(row["datatype"], np.dtype(object))
    return np.zeros((0, *(max(dim, 0) for dim in row["shape"][1:])), dtype)
