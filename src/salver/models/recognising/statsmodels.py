"""Results of statsmodels, by the first thing that their pickle names."""

from __future__ import annotations

from salver.models.pickledmodules import root_module
from salver.models.pickles import pickle_kind
from salver.models.recognising.base import FileView, Recognition


def recognise_statsmodels(view: FileView, _function: str | None) -> Recognition | None:
    kind = pickle_kind(view.head)
    if kind is None or not root_module(view.head).startswith("statsmodels."):
        return None
    return Recognition(runtime="statsmodels", artifact=view.path, trust="code", label=f"statsmodels results ({kind})")
