"""The prediction addresses of the native wire, taken apart; and the addresses that the start page lists."""

from __future__ import annotations

import re
from urllib.parse import parse_qs, quote, unquote

import msgspec

MODELS = "/api/v1/models"
KEYS = "/api/v1/keys"
AUDIT = "/api/v1/audit"

# One pattern for the three ways to name what predicts: the default version, a version's number, a label.
_PREDICT = re.compile(
    rb"/api/v1/models/(?P<model>[^/?#]+)(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/?#]+))?"
    rb"/(?P<verb>predict|invocations)(?:\?(?P<query>[^#]*))?"
)


class PredictAddress(msgspec.Struct, frozen=True, kw_only=True):
    """What a prediction address names. `signature` is empty for the default one.

    `missing` and `dates` are what its query says of values without one meaning. `is_invocations`: MLflow's clients ask.
    """

    model: str
    version: int | None = None
    label: str | None = None
    signature: str = ""
    missing: str = ""
    dates: str = ""
    is_invocations: bool = False


def parse_predict(target: bytes) -> PredictAddress | None:
    """What a path and query name, or None when they are no prediction address or not UTF-8 behind the escapes."""
    match = _PREDICT.fullmatch(target)
    if match is None:
        return None
    try:
        return PredictAddress(
            model=_text(match["model"]),
            version=None if match["version"] is None else int(match["version"]),
            label=None if match["label"] is None else _text(match["label"]),
            is_invocations=match["verb"] == b"invocations",
            **_query(match["query"]),
        )
    except UnicodeDecodeError:
        return None


def _text(segment: bytes) -> str:
    return unquote(segment.decode("ascii"), errors="strict")


def _query(query: bytes | None) -> dict[str, str]:
    """What is said behind the question mark; of what is said twice, the first counts."""
    if not query:
        return {}
    said = parse_qs(query.decode("ascii"), errors="strict")
    return {name: said[name][0] for name in ("signature", "missing", "dates") if name in said}


def model_path(model: str, version: int | None = None, label: str | None = None) -> str:
    """The address of a model, one of its versions or one of its labels."""
    path = f"{MODELS}/{quote(model, safe='')}"
    if version is not None:
        return f"{path}/versions/{version}"
    if label is not None:
        return f"{path}/labels/{quote(label, safe='')}"
    return path
