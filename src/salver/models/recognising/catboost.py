"""CatBoost's models: its own form, and JSON."""

from __future__ import annotations

import re

from salver.models.recognising.base import FileView, Recognition

_FEATURES = rb'"features_info"\s*:\s*\{\s*"(?:categorical|embedding|float|text)_features"'
_JSON = re.compile(rb'\s*\{\s*(?:"ctr_data"\s*:\s*\{|' + _FEATURES + rb")")
"""Its keys are in the order of the alphabet, and a model without features is none."""


def recognise_catboost(view: FileView, _function: str | None) -> Recognition | None:
    form = "cbm" if view.head.startswith(b"CBM1") else "JSON" if _JSON.match(view.head) else None
    if form is None:
        return None
    return Recognition(runtime="catboost", artifact=view.path, trust="data", label=f"CatBoost model ({form})")
