"""Asks a running server to read digits, over two protocols, and shows each answer beside the picture.

    python examples/digits/ask.py http://127.0.0.1:8080 FOLDER_OF_PICTURES

A picture's name begins with the digit it shows. Only the standard library talks to the server, so this is also what a
client in any other language has to do.
"""

from __future__ import annotations

import base64
import json
import statistics
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

MODEL = "digits"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SHADES = " ░▒▓█"
DRAWN = 4
ASKED = 40
RIGHT_ENOUGH = 0.9


@dataclass(frozen=True)
class Answer:
    """What one protocol answered: the likeliest digit, how sure the model is, and the time the call took."""

    protocol: str
    name: str
    probability: float
    latency_ms: float


def main(url: str, folder: Path) -> bool:
    """Draw a few digits with their answers, ask about more, and return whether enough of the answers are right."""
    pictures = sorted(folder.glob("*.png"), key=lambda path: path.stem.partition("-")[2])[:ASKED]
    answers: list[Answer] = []
    right = 0
    for number, picture in enumerate(pictures):
        expected = NAMES[int(picture.name[0])]
        given = [ask_tensorflow_serving(url, picture), ask_model_server(url, picture)]
        if number < DRAWN:
            show(picture, expected, given)
        answers += given
        right += sum(answer.name == expected for answer in given)
    latency_ms = statistics.median(answer.latency_ms for answer in answers)
    print(f"  {right} of {len(answers)} answers are right; the median of the calls took {latency_ms:.1f} ms.\n")
    return right >= RIGHT_ENOUGH * len(answers)


def ask_tensorflow_serving(url: str, picture: Path) -> Answer:
    """TensorFlow Serving's REST API: rows of JSON under `instances`, bytes in Base64."""
    encoded = base64.b64encode(picture.read_bytes()).decode("ascii")
    body = json.dumps({"instances": [{"b64": encoded}]}).encode()
    answer, latency_ms = post(f"{url}/v1/models/{MODEL}:predict", "application/json", body)
    (row,) = answer["predictions"]
    return Answer("TensorFlow Serving", row["classes"][0], row["probabilities"][0], latency_ms)


def ask_model_server(url: str, picture: Path) -> Answer:
    """MXNet Model Server's API: the picture is the body."""
    answer, latency_ms = post(f"{url}/predictions/{MODEL}", "image/png", picture.read_bytes())
    best = answer[0]
    return Answer("MXNet Model Server", best["class"], best["probability"], latency_ms)


def post(url: str, content_type: str, body: bytes) -> tuple[object, float]:
    """The answer's JSON, and the milliseconds from sending to having it whole."""
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    started = time.perf_counter()
    with urllib.request.urlopen(request, timeout=30) as response:
        answer = response.read()
    return json.loads(answer), (time.perf_counter() - started) * 1000


def show(picture: Path, expected: str, answers: list[Answer]) -> None:
    """The digit on the left, what was said about it on the right."""
    notes = iter(["", f"{picture.name}, a {expected}", "", *map(told, answers)])
    for line in drawn(picture):
        print(f"    {line}   {next(notes, '')}".rstrip())
    print()


def told(answer: Answer) -> str:
    return f"{answer.protocol:<20} {answer.name:<6} {answer.probability:6.1%}  {answer.latency_ms:5.1f} ms"


def drawn(picture: Path) -> Iterator[str]:
    """The picture as lines of text; a pixel is two characters wide, which is about a square."""
    for row in np.asarray(Image.open(picture)):
        yield "".join(SHADES[int(value) * len(SHADES) // 256] * 2 for value in row)


if __name__ == "__main__":
    sys.exit(0 if main(sys.argv[1].rstrip("/"), Path(sys.argv[2])) else 1)
