"""Answers its input: for trying a connection, and for measuring what everything but a model costs."""

from __future__ import annotations

import platform
from typing import Any, Mapping

from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor


def load(request: LoadRequest) -> Echo:  # noqa: ARG001  the file's content does not matter
    return Echo()


class Echo:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self) -> None:
        row = tensor("x", "FP32", (-1, -1))
        self.signature = signature([row], [row])
        self.runtime_version = "Python " + platform.python_version()
        self.details: dict[str, str] = {}

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        return inputs

    def close(self) -> None:
        """Nothing to give back."""
