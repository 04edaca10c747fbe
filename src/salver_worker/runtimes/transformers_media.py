"""Tasks that look at pictures or listen."""

from __future__ import annotations

import io
import wave
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Tuple

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.transformers_parameters import whole
from salver_worker.runtimes.transformers_parts import Parts
from salver_worker.runtimes.transformers_text import MAX_RANKS, RANKED, ranked

if TYPE_CHECKING:
    from salver_worker.arrays import Array

SAMPLES: Dict[int, Tuple[Any, float, float]] = {
    1: (np.dtype("u1"), 128.0, 128.0),
    2: (np.dtype("<i2"), 0.0, 32768.0),
    4: (np.dtype("<i4"), 0.0, 2147483648.0),
}
"""By the bytes of a sample: its type, what silence is, and what the loudest is."""


class ClassifyImages:
    """The most likely label of a picture; with the parameter `top_k` as many of them."""

    inputs, outputs = (tensor("image", "BYTES", (-1,)),), RANKED

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._pipeline = parts.pipeline("image-classification", image_processor=parts.processor)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        count = whole(parameters, "top_k", 1, MAX_RANKS)
        pictures = _pictures(inputs["image"])
        return ranked(self._pipeline(pictures, top_k=count or 1, batch_size=self._parts.batch_size), count)


def _pictures(encoded: Array) -> List[Any]:
    from salver_worker.conversions.errors import RowError
    from salver_worker.conversions.images import PILLOW_PIXELS, Decoder
    from salver_worker.conversions.pillow import FORMATS, pillow_image

    decoder = Decoder(pillow_image(), "RGB", FORMATS, True, PILLOW_PIXELS, None)
    try:
        return decoder.images(encoded)
    except RowError as error:
        raise InputError("the input image, row %s: %s" % (error.row, error.message)) from error


class ClassifySounds:
    """The most likely label of a sound; with the parameter `top_k` as many of them."""

    inputs, outputs = (tensor("audio", "BYTES", (-1,)),), RANKED

    def __init__(self, parts: Parts) -> None:
        self._rate = parts.processor.sampling_rate
        self._pipeline = parts.pipeline("audio-classification", feature_extractor=parts.processor)

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        count = whole(parameters, "top_k", 1, MAX_RANKS)
        return ranked(self._pipeline(sounds(inputs["audio"], self._rate), top_k=count or 1), count)


class WriteDown:
    """What is said in a sound."""

    inputs, outputs = (tensor("audio", "BYTES", (-1,)),), (tensor("text", "BYTES", (-1,)),)

    def __init__(self, parts: Parts) -> None:
        self._rate = parts.processor.sampling_rate
        self._pipeline = parts.pipeline(
            "automatic-speech-recognition", feature_extractor=parts.processor, tokenizer=parts.tokenizer
        )

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        found = self._pipeline(sounds(inputs["audio"], self._rate))
        return {"text": bytes_array([row["text"] for row in found], (len(found),))}


def sounds(encoded: Array, rate: int) -> List[Dict[str, Any]]:
    """WAV files as the library takes sounds; channels are mixed. Raises InputError that names the row."""
    return [_sound(row, data, rate) for row, data in enumerate(encoded.ravel().tolist())]


def _sound(row: int, data: bytes, rate: int) -> Dict[str, Any]:
    try:
        with wave.open(io.BytesIO(data)) as file:
            width, channels, found = file.getsampwidth(), file.getnchannels(), file.getframerate()
            raw = file.readframes(file.getnframes())
    except (wave.Error, EOFError, RuntimeError) as error:
        raise InputError("the input audio is no WAV file of plain samples, in row %d: %s" % (row, error)) from error
    if width not in SAMPLES:
        raise InputError("the input audio has samples of %d bytes, in row %d; take 1, 2 or 4" % (width, row))
    if found != rate:
        raise InputError(
            "the input audio has %d samples a second, in row %d, and the model wants %d" % (found, row, rate)
        )
    dtype, silence, loudest = SAMPLES[width]
    whole_frames = len(raw) // (width * channels) * channels
    samples = (np.frombuffer(raw, dtype)[:whole_frames].astype(np.float32) - silence) / loudest
    return {"raw": samples.reshape(-1, channels).mean(axis=1, dtype=np.float32), "sampling_rate": rate}
