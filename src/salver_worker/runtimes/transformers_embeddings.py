"""The task that makes a vector of a text."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.options import option, wrong_option
from salver_worker.runtimes.transformers_parameters import flag
from salver_worker.runtimes.transformers_parts import Parts, decoded, in_batches, read_json
from salver_worker.runtimes.transformers_text import TEXT

POOLINGS = ("mean", "cls", "max", "last")
MODES = {"cls_token": "cls", "max_tokens": "max", "lasttoken": "last", "mean_tokens": "mean"}
"""What a folder of sentence-transformers calls them, behind `pooling_mode_`."""


class Embed:
    """One vector for each text: its tokens' vectors put together as `pooling` says."""

    inputs = TEXT

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pooling, self._is_unit = _pooling(parts)
        size = int(getattr(parts.model.config, "hidden_size", 0) or getattr(parts.model.config, "dim", -1))
        self.outputs = (tensor("embedding", "FP32", (-1, size)),)
        self.details = {"pooling": self._pooling}

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        asked = flag(parameters, "normalize")
        is_unit = self._is_unit if asked is None else asked
        rows = decoded("text", inputs["text"])
        batches = [self._batch(batch) for batch in in_batches(rows, self._parts.batch_size)]
        vectors = np.concatenate(batches) if batches else np.zeros((0, self.outputs[0]["shape"][1]), np.float32)
        if is_unit:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return {"embedding": vectors}

    def _batch(self, rows: Sequence[str]) -> Any:
        parts, torch = self._parts, self._parts.torch
        encoded = parts.tokenizer(list(rows), padding=len(rows) > 1, truncation=True, return_tensors="pt")
        with torch.inference_mode():
            states = parts.model(**encoded.to(parts.device))[0].float()
            mask = encoded["attention_mask"].unsqueeze(-1)
            return _pooled(torch, states, mask, self._pooling).cpu().numpy()


def _pooled(torch: Any, states: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return states[:, 0]
    if pooling == "max":
        return states.masked_fill(mask == 0, -torch.inf).max(1).values
    if pooling == "last":
        places = torch.arange(mask.shape[1], device=mask.device).unsqueeze(-1)
        last = (mask * places).max(1).values.squeeze(-1)
        return states[torch.arange(len(states), device=mask.device), last]
    return (states * mask).sum(1) / mask.sum(1).clamp(min=1)


def _pooling(parts: Parts) -> Tuple[str, bool]:
    """As model.toml says, else a folder of sentence-transformers, else the mean; and whether vectors get length 1."""
    told = option(parts.request, "pooling")
    if told is not None and told not in POOLINGS:
        raise wrong_option("pooling", "one of %s" % ", ".join(POOLINGS))
    steps = read_json(parts.request.path, "modules.json") or []
    is_unit = any(str(step.get("type", "")).endswith("Normalize") for step in steps)
    folder = next((step["path"] for step in steps if str(step.get("type", "")).endswith("Pooling")), None)
    said: Dict[str, Any] = (read_json(parts.request.path, folder, "config.json") or {}) if folder else {}
    found = next((name for key, name in MODES.items() if said.get("pooling_mode_" + key)), "mean")
    return told or found, is_unit
