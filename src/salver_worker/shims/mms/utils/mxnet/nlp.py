"""Sentences as numbers, padded to the length of a bucket (mms/utils/mxnet/nlp.py). Needs mxnet."""

from __future__ import annotations

import bisect
from typing import Any, Dict, List, Optional, Sequence, Tuple

import mxnet as mx
import numpy as np


def encode_sentences(
    sentences: Sequence[Sequence[str]],
    vocab: Optional[Dict[str, int]] = None,
    invalid_label: int = -1,
    invalid_key: str = "\n",
    start_label: int = 0,
) -> Tuple[List[List[int]], Dict[str, int]]:
    """Each word's number, and the vocabulary; without one, words get numbers as they come."""
    if vocab is not None:
        known = vocab
        return [[known.get(word, invalid_label) for word in sentence] for sentence in sentences], known
    made = {invalid_key: invalid_label}
    number = start_label
    for word in (word for sentence in sentences for word in sentence):
        if word not in made:
            number += number == invalid_label
            made[word] = number
            number += 1
    return [[made[word] for word in sentence] for sentence in sentences], made


def pad_sentence(
    sentence: Sequence[int],
    buckets: Sequence[int],
    invalid_label: int = -1,
    data_name: str = "data",
    layout: str = "NT",
) -> Any:
    """A batch of the one sentence, as long as the shortest bucket that holds it."""
    size = buckets[bisect.bisect_left(buckets, len(sentence))]
    padded = np.full((size,), invalid_label, dtype="float32")
    padded[: len(sentence)] = sentence
    shape = (1, size) if layout == "NT" else (size, 1)
    return mx.io.DataBatch(
        [mx.nd.array([padded], dtype="float32")],
        pad=0,
        bucket_key=size,
        provide_data=[mx.io.DataDesc(name=data_name, shape=shape, layout=layout)],
    )
