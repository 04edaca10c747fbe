"""Tasks that read a text and say something about it."""

from __future__ import annotations

import json
from typing import Any, Mapping, Optional, Sequence

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.options import option, wrong_option
from salver_worker.runtimes.transformers_parameters import choice, flag, texts, whole
from salver_worker.runtimes.transformers_parts import Parts, decoded

TEXT = (tensor("text", "BYTES", (-1,)),)
RANKED = (tensor("label", "BYTES", (-1,)), tensor("score", "FP32", (-1,)))
MAX_RANKS = 1000
STRATEGIES = ("none", "simple", "first", "average", "max")


class Classify:
    """The most likely label; with the parameter `top_k` as many of them, the best first."""

    inputs, outputs = TEXT, RANKED

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline("text-classification", tokenizer=parts.tokenizer)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        count = whole(parameters, "top_k", 1, MAX_RANKS)
        scaling = choice(parameters, "function_to_apply", ("sigmoid", "softmax", "none"))
        rows = decoded("text", inputs["text"])
        more = {} if scaling is None else {"function_to_apply": scaling}
        size = self._parts.batch_size
        found = self._pipeline(rows, top_k=count or 1, truncation=True, batch_size=size, **more)
        return ranked(found, count)


def ranked(found: Sequence[Sequence[Mapping[str, Any]]], count: Optional[int]) -> Arrays:
    """`label` and `score` of each row, one of each where no `top_k` was asked for."""
    labels = [[entry["label"] for entry in row] for row in found]
    scores = np.array([[entry["score"] for entry in row] for row in found], np.float32)
    if count is None:
        return {"label": bytes_array([row[0] for row in labels], (len(found),)), "score": scores[:, 0]}
    return {"label": bytes_array([label for row in labels for label in row], scores.shape), "score": scores}


class ZeroShot:
    """The labels that a caller names, or model.toml, the most likely first."""

    inputs = TEXT
    outputs = (tensor("label", "BYTES", (-1, -1)), tensor("score", "FP32", (-1, -1)))

    def __init__(self, parts: Parts) -> None:
        self._labels = option(parts.request, "labels")
        if self._labels is not None and not (isinstance(self._labels, list) and all(map(_is_text, self._labels))):
            raise wrong_option("labels", "a list of texts")
        self._pipeline = parts.pipeline("zero-shot-classification", tokenizer=parts.tokenizer)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        labels = texts(parameters, "candidate_labels") or self._labels
        if not labels:
            raise InputError('the parameter candidate_labels must name the labels, as ["sport", "politics"]')
        template = (texts(parameters, "hypothesis_template") or ["This example is {}."])[0]
        if "{}" not in template:
            raise InputError("the parameter hypothesis_template must have {} where the label goes")
        rows = decoded("text", inputs["text"])
        if not all(row.strip() for row in rows):
            raise InputError("the input text is empty in row %d" % [bool(row.strip()) for row in rows].index(False))
        multi = bool(flag(parameters, "multi_label"))
        found = self._pipeline(rows, candidate_labels=labels, hypothesis_template=template, multi_label=multi)
        shape = (len(rows), len(found[0]["labels"]))
        return {
            "label": bytes_array([label for row in found for label in row["labels"]], shape),
            "score": np.array([row["scores"] for row in found], np.float32),
        }


class Tokens:
    """What is named in a text and where, as JSON: a list of `entity`, `score`, `word`, `start`, `end`."""

    inputs = TEXT
    outputs = (tensor("entities", "BYTES", (-1,)),)

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline("token-classification", tokenizer=parts.tokenizer)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        strategy = choice(parameters, "aggregation_strategy", STRATEGIES) or "simple"
        rows = decoded("text", inputs["text"])
        found = self._pipeline(rows, aggregation_strategy=strategy, batch_size=self._parts.batch_size)
        return {"entities": bytes_array([_json(row) for row in found], (len(rows),))}


def _json(value: Any) -> str:
    """With NumPy's numbers as JSON has them."""
    return json.dumps(value, default=lambda number: number.item(), ensure_ascii=False)


class FillMask:
    """The likeliest tokens in the place of the mask, the best first; five, or as the parameter `top_k` says."""

    inputs = TEXT
    outputs = (tensor("token", "BYTES", (-1, -1)), tensor("score", "FP32", (-1, -1)))

    def __init__(self, parts: Parts) -> None:
        self._mask = parts.tokenizer.mask_token
        self._most = min(MAX_RANKS, parts.model.config.vocab_size)
        self._pipeline = parts.pipeline("fill-mask", tokenizer=parts.tokenizer)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        count = whole(parameters, "top_k", 1, self._most) or min(5, self._most)
        rows = decoded("text", inputs["text"])
        for row, text in enumerate(rows):
            if text.count(self._mask) != 1:
                raise InputError("the input text must have %s once, in row %d" % (self._mask, row))
        found = self._pipeline(rows, top_k=count, tokenizer_kwargs={"truncation": True})
        found = found if isinstance(found[0], list) else [found]
        return {
            "token": bytes_array([entry["token_str"] for row in found for entry in row], (len(rows), count)),
            "score": np.array([[entry["score"] for entry in row] for row in found], np.float32),
        }


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)
