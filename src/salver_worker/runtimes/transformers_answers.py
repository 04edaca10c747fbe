"""The task that finds the answer to a question in a text."""

from __future__ import annotations

from typing import Any, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.transformers_parameters import whole
from salver_worker.runtimes.transformers_parts import Parts, decoded, in_batches

LONGEST = 15
"""Tokens of an answer, where the request says nothing."""
WINDOW = 384
"""Tokens that are read at once, where the model could read more."""


class Answer:
    """The part of the context that answers the question, with its place in it; empty where there is none."""

    inputs = (tensor("question", "BYTES", (-1,)), tensor("context", "BYTES", (-1,)))
    outputs = (
        tensor("answer", "BYTES", (-1,)),
        tensor("score", "FP32", (-1,)),
        tensor("start", "INT64", (-1,)),
        tensor("end", "INT64", (-1,)),
    )

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        if not parts.tokenizer.is_fast:
            raise LoadFailure(
                "the tokenizer does not tell which characters its tokens are of",
                fix="Save a fast tokenizer with the model.",
            )

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        longest = whole(parameters, "max_answer_len", 1, 1000) or LONGEST
        questions, contexts = (decoded(name, inputs[name]) for name in ("question", "context"))
        pairs = list(zip(questions, contexts))
        found = [best for batch in in_batches(pairs, self._parts.batch_size) for best in self._batch(batch, longest)]
        answers = [contexts[row][start:end] for row, (_, start, end) in enumerate(found)]
        return {
            "answer": bytes_array(answers, (len(found),)),
            "score": np.array([score for score, _, _ in found], np.float32),
            "start": np.array([start for _, start, _ in found], np.int64),
            "end": np.array([end for _, _, end in found], np.int64),
        }

    def _batch(self, pairs: Sequence[Tuple[str, str]], longest: int) -> List[Tuple[float, int, int]]:
        """A context that is too long is read in windows that overlap; the best answer of all of them counts."""
        parts, torch = self._parts, self._parts.torch
        most = min(parts.tokenizer.model_max_length, WINDOW)
        try:
            encoded = parts.tokenizer(
                [question for question, _ in pairs], [context for _, context in pairs],
                truncation="only_second", max_length=most, stride=most // 4, padding=len(pairs) > 1 or "longest",
                return_overflowing_tokens=True, return_offsets_mapping=True, return_tensors="pt",
            )  # fmt: skip
        except Exception as error:
            if "too short" in str(error) or "truncat" in str(error).lower():
                raise InputError("a question is longer than the model can read") from error
            raise
        offsets, rows = encoded.pop("offset_mapping"), encoded.pop("overflow_to_sample_mapping")
        with torch.inference_mode():
            output = parts.model(**encoded.to(parts.device))
        best = [(0.0, 0, 0)] * len(pairs)
        for window, row in enumerate(rows.tolist()):
            is_context = np.array([part == 1 for part in encoded.sequence_ids(window)])
            found = _best_span(
                output.start_logits[window].float().cpu().numpy(),
                output.end_logits[window].float().cpu().numpy(),
                is_context,
                longest,
            )
            if found is not None and found[0] > best[row][0]:
                score, first, last = found
                best[row] = (score, int(offsets[window][first][0]), int(offsets[window][last][1]))
        return best


def _best_span(starts: Any, ends: Any, is_allowed: Any, longest: int) -> Optional[Tuple[float, int, int]]:
    """The likeliest first and last token of the context, at most `longest` apart."""
    if not is_allowed.any():
        return None
    first, last = (_probabilities(np.where(is_allowed, logits, -np.inf)) for logits in (starts, ends))
    together = np.tril(np.triu(np.outer(first, last)), longest - 1)
    start, end = np.unravel_index(int(together.argmax()), together.shape)
    return float(together[start, end]), int(start), int(end)


def _probabilities(logits: Any) -> Any:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()
