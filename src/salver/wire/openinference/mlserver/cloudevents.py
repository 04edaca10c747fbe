"""The headers of cloud events that MLServer puts on answers, for brokers that pass them on. Pure.

From its ``cloudevents.py``; a namespace of Kubernetes is not told.
"""

from __future__ import annotations

SPECVERSION = "0.3"
KIND = "io.seldon.serving.inference.response"
MAX_ID_CHARACTERS = 1024


def cloud_event(server: str, model: str, request_id: str) -> tuple[tuple[str, str], ...]:
    """Of one answer. An id that no header can carry is left out."""
    headers = (
        ("Ce-Specversion", SPECVERSION),
        ("Ce-Source", f"io.seldon.serving.deployment.{server}"),
        ("Ce-Type", KIND),
        ("Ce-Modelid", model),
        ("Ce-Inferenceservicename", server),
        ("Ce-Endpoint", model),
    )
    if not (request_id.isascii() and request_id.isprintable() and 0 < len(request_id) <= MAX_ID_CHARACTERS):
        return headers
    return (*headers, ("Ce-Id", request_id), ("Ce-Requestid", request_id))
