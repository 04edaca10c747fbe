"""A handler as MXNet Model Server and TorchServe know them: counts the words of a text.

Nothing of Salver is imported. `handle` gets a list with one dict of parts for each request, and returns a list of as
many answers.
"""

from __future__ import annotations

from collections import Counter
from typing import Any


def handle(data: list[dict[str, Any]] | None, context: Any) -> list[dict[str, int]] | None:
    if data is None:  # called once without data when the model is loaded
        return None
    for index in range(len(data)):
        context.set_response_content_type(index, "application/json")
    return [count_words(parts) for parts in data]


def count_words(parts: dict[str, Any]) -> dict[str, int]:
    text = parts.get("body", parts.get("data", ""))
    if isinstance(text, (bytes, bytearray)):  # a body without a content type
        text = text.decode()
    return dict(Counter(text.lower().split()))
