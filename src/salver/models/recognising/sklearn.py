"""Estimators of scikit-learn: pickles, which are never opened here, and files of skops."""

from __future__ import annotations

from salver.models.pickles import pickle_kind
from salver.models.recognising.base import FileView, Recognition
from salver.models.unserved import unserved_file


def recognise_sklearn(view: FileView, _function: str | None) -> Recognition | None:
    is_another = unserved_file(view.path.name, view.head) is not None
    kind = "skops file" if "schema.json" in view.members else pickle_kind(view.head)
    if kind is None or is_another:
        return None
    return Recognition(runtime="sklearn", artifact=view.path, trust="code", label=f"scikit-learn model ({kind})")
