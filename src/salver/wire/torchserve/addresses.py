"""The prediction addresses: what a path asks for. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import msgspec

NOT_A_MODEL = frozenset({"", "models", "ping", "api-description", "invocations"})
"""First segments that are addresses of their own, and so name no model in the old form ``/{model}/predict``."""
MAX_VERSION_DIGITS = 18
_VERB = re.compile(r"(.+):(predict|explain)")


class Asked(msgspec.Struct, frozen=True):
    """What a prediction address names; the version as the client wrote it, empty for none."""

    model: str
    version: str = ""
    query: bytes = b""
    """What becomes inputs of a handler; empty where the original ignores it."""
    url_path: str = ""
    """What follows the version."""
    is_explanation: bool = False
    is_kserve: bool = False
    """Whether it is an address of KServe's, which other protocols have too."""

    def told(self) -> Mapping[str, str]:
        """The headers that TorchServe adds for the handler."""
        return {"explain": str(self.is_explanation), "url_path": self.url_path}


def asked_by_mms(segments: Sequence[str], query: bytes) -> Asked | None:
    """Digits behind the model's name count as its version, as in TorchServe; any other segments are ignored."""
    match segments:
        case ["", "predictions" | "prediction", model, *rest] if model:
            if not rest or not (rest[0].isascii() and rest[0].isdigit()):
                return Asked(model)
            return Asked(model, rest[0]) if len(rest[0]) <= MAX_VERSION_DIGITS else None
    return _old_forms(segments, query)


def asked_by_torchserve(segments: Sequence[str], query: bytes) -> Asked | None:
    match segments:
        case ["", "predictions" | "prediction", model, *rest] if model:
            version, *path = [*rest, ""]
            return Asked(model, version, url_path="/".join(path).rstrip("/"))
        case ["", "explanations", model, *rest] if model:
            return Asked(model, rest[0] if rest else "", is_explanation=True)
        case ["", model, version, "predict"] if model not in NOT_A_MODEL and version:
            return Asked(model, version, query)
        case ["", "v1", "models", verb] if found := _VERB.fullmatch(verb):
            return Asked(found[1], is_explanation=found[2] == "explain", is_kserve=True)
        case ["", "v2", "models", model, "infer" | "explain" as verb] if model:
            return Asked(model, is_explanation=verb == "explain", is_kserve=True)
    return _old_forms(segments, query)


def _old_forms(segments: Sequence[str], query: bytes) -> Asked | None:
    match segments:
        case ["", "models", model, "invoke"] if model:
            return Asked(model, query=query)
        case ["", model, "predict"] if model not in NOT_A_MODEL:
            return Asked(model, query=query)
    return None
