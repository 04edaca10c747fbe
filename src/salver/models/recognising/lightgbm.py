"""LightGBM's models, which are text."""

from __future__ import annotations

import re

from salver.models.recognising.base import FileView, Recognition

_START = re.compile(rb"tree\r?\n(?:version=(v\d+)|num_class=)")


def recognise_lightgbm(view: FileView, _function: str | None) -> Recognition | None:
    start = _START.match(view.head)
    if start is None:
        return None
    form = f" ({start[1].decode()})" if start[1] else ""
    return Recognition(runtime="lightgbm", artifact=view.path, trust="data", label=f"LightGBM model{form}")
