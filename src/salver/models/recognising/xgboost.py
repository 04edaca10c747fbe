"""XGBoost's models: JSON, UBJSON, and the binary form of releases before 3.1."""

from __future__ import annotations

import re

from salver.models.recognising.base import FileView, Recognition

BINARY_START = b"binf"
_JSON = re.compile(rb'\s*\{\s*"learner"\s*:\s*\{')
_UBJSON = re.compile(rb"\{[iUIlL]\x00{0,7}\x07learner\{")
_BINARY = re.compile(rb"(?:reg|binary|multi|rank|count|survival):[a-z_]{3,24}[\x04-\x08]\0{7}(?:gbtree|gblinear|dart)")
_BINARY_HEAD = 512


def recognise_xgboost(view: FileView, _function: str | None) -> Recognition | None:
    form = xgboost_form(view.head)
    if form is None:
        return None
    return Recognition(runtime="xgboost", artifact=view.path, trust="data", label=f"XGBoost model ({form})")


def xgboost_form(head: bytes) -> str | None:
    """`JSON`, `UBJSON` or `binary`, by the first bytes; None when it is none of them."""
    if _JSON.match(head):
        return "JSON"
    if _UBJSON.match(head):
        return "UBJSON"
    return "binary" if head.startswith(BINARY_START) or _BINARY.search(head[:_BINARY_HEAD]) else None
