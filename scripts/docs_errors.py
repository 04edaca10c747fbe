#!/usr/bin/env python3
"""Writes the table of docs/errors.md: every code with its meaning, its fix, and its HTTP status on each wire."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from salver.errors import Code, SalverError
from salver.wire.native.errors import status_of
from salver.wire.openinference.errors import status_of as openinference_status
from salver.wire.tfserving.errors import http_status
from salver.wire.torchserve.dialect import MMS

PAGE = Path(__file__).resolve().parent.parent / "docs" / "errors.md"
BEGIN = "<!-- codes: written by scripts/docs_errors.py -->"
END = "<!-- end of codes -->"

GROUPS: Mapping[str, Mapping[Code, str]] = {
    "What was asked": {
        Code.INVALID_INPUT: "The request does not fit the model or the address.",
        Code.MODEL_NOT_FOUND: "No model of this name, or none that the caller may see.",
        Code.VERSION_NOT_FOUND: "The model has no such version.",
        Code.LABEL_NOT_FOUND: "The model has no such label.",
        Code.SIGNATURE_NOT_FOUND: "The model has no such signature.",
        Code.ROUTE_NOT_FOUND: "Nothing answers at this address.",
        Code.METHOD_NOT_ALLOWED: "The address does not answer this method.",
        Code.PAYLOAD_TOO_LARGE: "The body is above the limit, as it was sent or once inflated.",
        Code.UNSUPPORTED_MEDIA_TYPE: "The content type or the content encoding is none that is read here.",
        Code.NOT_ACCEPTABLE: "The answer cannot take a form that `Accept` names.",
        Code.CONFLICT: "The change does not fit the present state.",
    },
    "Who asked": {
        Code.UNAUTHENTICATED: "No key where one is needed, or one that is wrong, expired or revoked.",
        Code.PERMISSION_DENIED: "The caller is known and may not do this.",
        Code.QUOTA_EXCEEDED: "The key's own requests per second are used up.",
    },
    "What the server can do now": {
        Code.MODEL_NOT_READY: "The model is known, and no replica of it can answer.",
        Code.OVERLOADED: "The queue is full, or the answer would come after the deadline. No model was asked.",
        Code.SHUTTING_DOWN: "The server is stopping and gave this request up.",
        Code.DEADLINE_EXCEEDED: "The deadline passed before the answer came.",
        Code.CANCELLED: "The caller hung up, so that nobody reads this answer: it is in logs and metrics. "
        "Or an answer in parts came faster than the caller read it.",
    },
    "What the model did": {
        Code.WORKER_DIED: "The model's process died with the request, and running it again was not allowed or failed.",
        Code.MODEL_ERROR: "The model's own code raised an exception.",
        Code.OUTPUT_INVALID: "The model's answer is not what its signature says, or has another number of rows.",
        Code.OUT_OF_MEMORY: "The model ran out of memory.",
    },
    "Why a version is not live": {
        Code.LOAD_FAILED: "Loading the model failed.",
        Code.FORMAT_UNKNOWN: "The file or folder is no model that this release serves.",
        Code.MANIFEST_INVALID: "model.toml, or an archive's manifest, has a mistake.",
        Code.EXAMPLE_MISMATCH: "The model did not give its example's answer.",
        Code.ENVIRONMENT_BROKEN: "The interpreter does not start, or a module is missing in it.",
    },
    "Why the server does not start": {
        Code.SETTINGS_INVALID: "A setting has a value that cannot be used.",
        Code.PORT_TAKEN: "A port cannot be opened.",
        Code.DATA_DIRECTORY_LOCKED: "Another server uses the data directory.",
        Code.STATE_DAMAGED: "The database is damaged, or from a newer release.",
    },
    "Salver's own": {
        Code.INTERNAL: "Something happened in the server that should not.",
    },
}
"""What each code means, by what it is about."""


def page(text: str) -> str:
    """The page with its generated part made anew."""
    before, rest = text.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    return f"{before}{BEGIN}\n\n{render()}\n{END}{after}"


def render() -> str:
    """Markdown of all codes."""
    lines: list[str] = []
    for title, meanings in GROUPS.items():
        lines += [
            f"### {title}",
            "",
            "| code | meaning | fix | native | tfserving | mms | openinference |",
            "|---|---|---|---|---|---|---|",
        ]
        lines += [_row(code, meaning) for code, meaning in meanings.items()]
        lines.append("")
    return "\n".join(lines)


def statuses(code: Code) -> tuple[int, int, int, int]:
    """The HTTP statuses on the wires native, tfserving, mms and openinference."""
    error = SalverError(code, "")
    return status_of(error), http_status(error), MMS.rows[code].status, openinference_status(error)


def _row(code: Code, meaning: str) -> str:
    cells = (f"`{code.value}`", meaning, code.fix, *map(str, statuses(code)))
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
