"""Each change of what is served, as a call. No sending here."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from salver_client.artefacts import Artefact
from salver_client.calls import JSON, Call, model_path, read
from salver_client.inputs import Piece
from salver_client.results import Outcome, VersionList

MARGIN_S = 30.0
"""Beyond the time that the server waits until what is wanted serves."""


class Left(enum.Enum):
    """What is left as it is."""

    LEFT = "left"


LEFT = Left.LEFT


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What goes with every change: only tell what it would do; how long to wait until all serves; the revision seen."""

    plan: bool = False
    wait_s: float = 5.0
    revision: int | None = None

    def query(self, **more: str) -> str:
        fields = {**more, "wait": f"{self.wait_s:g}"}
        if self.plan:
            fields["plan"] = "true"
        if self.revision is not None:
            fields["revision"] = str(self.revision)
        return "?" + urlencode(fields)


def versions(model: str) -> Call[VersionList]:
    return read(f"{model_path(model)}/versions", VersionList.of)


def push(
    model: str, artefact: Artefact | None, file_name: str, version: int | None, promote: bool, how: How
) -> Call[Outcome]:
    """Without an artefact it can only be a plan."""
    more = {"file": file_name, **({"promote": "true"} if promote else {})}
    path = f"{model_path(model)}/versions" + ("" if version is None else f"/{version}")
    return Call(
        method="POST" if version is None else "PUT",
        path=path + how.query(**more),
        body=artefact,
        headers={"Accept": JSON, "Content-Type": "application/octet-stream"},
        parse=lambda reply: Outcome.of(reply.json()),
        at_least_s=how.wait_s + MARGIN_S + (0.0 if artefact is None else artefact.size_bytes / SLOWEST_BYTES_PER_S),
    )


SLOWEST_BYTES_PER_S = 10e6
"""How fast the server is expected to take in an artefact at least: it hashes and copies it."""


def fetch(model: str, location: str, version: int | None, promote: bool, how: How) -> Call[Outcome]:
    more = {"from": location, **({"promote": "true"} if promote else {})}
    path = f"{model_path(model)}/versions" + ("" if version is None else f"/{version}")
    return Call(
        method="POST" if version is None else "PUT",
        path=path + how.query(**more),
        headers={"Accept": JSON, "Content-Type": "application/octet-stream"},
        parse=lambda reply: Outcome.of(reply.json()),
        at_least_s=how.wait_s + FETCH_S,
    )


FETCH_S = 3600.0
"""How long the server may take to fetch an artefact."""


def promote(model: str, version: int, how: How) -> Call[Outcome]:
    return change("POST", f"{model_path(model)}/promote", how, {"version": version})


def rollback(model: str, how: How) -> Call[Outcome]:
    return change("POST", f"{model_path(model)}/rollback", how, {})


def label(model: str, label: str, version: int | None, how: How) -> Call[Outcome]:
    path = model_path(model, label=label)
    return change("DELETE", path, how) if version is None else change("PUT", path, how, {"version": version})


def route(model: str, weights: Mapping[int, int], sticky: str, how: How) -> Call[Outcome]:
    path = f"{model_path(model)}/route"
    if not weights:
        return change("DELETE", path, how)
    named = {str(version): weight for version, weight in weights.items()}
    return change("PUT", path, how, {"weights": named, "sticky": sticky})


def scale(model: str, fields: Mapping[str, Any], how: How) -> Call[Outcome]:
    given = {name: value for name, value in fields.items() if value is not LEFT}
    return change("PUT", f"{model_path(model)}/scale", how, given)


def policy(model: str, fields: Mapping[str, Any], how: How) -> Call[Outcome]:
    return change("PUT", f"{model_path(model)}/policy", how, fields)


def load(model: str, version: int | None, how: How) -> Call[Outcome]:
    return change("POST", f"{model_path(model)}/load", how, {"version": version})


def unload(model: str, how: How) -> Call[Outcome]:
    return change("POST", f"{model_path(model)}/unload", how, {})


def delete(model: str, version: int | None, how: How) -> Call[Outcome]:
    return change("DELETE", model_path(model, version), how)


def change(method: str, path: str, how: How, document: Mapping[str, Any] | None = None) -> Call[Outcome]:
    return Call(
        method=method,
        path=path + how.query(),
        body=None if document is None else Piece(JSON, json.dumps(document).encode()),
        headers={"Accept": JSON},
        parse=lambda reply: Outcome.of(reply.json()),
        at_least_s=how.wait_s + MARGIN_S,
    )
