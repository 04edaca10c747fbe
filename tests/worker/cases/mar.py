"""A handler that answers what it was sent, and fails on one value."""

from __future__ import annotations

import json
from pathlib import Path

from runtime_cases import Case, ask_bodies, body_rows


def build(folder: Path, _python: str) -> Path:
    source = """
def handle(data, context):
    if data is None:
        return
    if any(row["body"] == 666 for row in data):
        raise ValueError("poison")
    return [row["body"] for row in data]
"""
    (folder / "MAR-INF").mkdir()
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps({"model": {"handler": "service"}}))
    (folder / "service.py").write_text(source)
    return folder


CASE = Case(
    build,
    ask_bodies(b"1"),
    body_rows,
    {"poison": (ask_bodies(b"666"), "MODEL_ERROR"), "content": (ask_bodies(b"{"), "INVALID_INPUT")},
    many=64,
)
