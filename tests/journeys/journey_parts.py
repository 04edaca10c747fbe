"""Models that answer in parts as their input says, word by word, and a gate that such an input can wait at."""

from __future__ import annotations

import os
from pathlib import Path

SCRIPT = """
import os

def words(text):
    for word in text.split():
        if word.startswith("/"):
            open(word).close()
        elif word == "fail":
            raise ValueError("secret words")
        elif word == "die":
            os._exit(1)
        elif word == "endless":
            while True:
                yield "x" * 100_000
        else:
            yield word + " "
"""
GENERATOR = (
    SCRIPT
    + """
from typing import Iterator

def predict(text: str) -> Iterator[str]:
    yield from words(text)
"""
)
HANDLER = (
    SCRIPT
    + """
from ts.handler_utils.utils import send_intermediate_predict_response

def handle(data, context):
    if data is None:
        return None
    text = data[0].get("body") or data[0].get("data") or ""
    for word in words(text if isinstance(text, str) else bytes(text).decode()):
        if word.startswith("status"):
            context.set_response_status(int(word[6:]), "", 0)
            continue
        send_intermediate_predict_response([word], context.request_ids, "Intermediate", 200, context)
    return ["end"]
"""
)


class Gate:
    """A named pipe: a model whose input holds its path waits there until it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)

    def __str__(self) -> str:
        return str(self.path)

    def open(self) -> None:
        self.path.open("w").close()
