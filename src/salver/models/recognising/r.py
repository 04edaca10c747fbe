"""What R saved, and R code that answers."""

from __future__ import annotations

from pathlib import Path

from salver.models.recognising.base import FileView, Recognition
from salver.models.robjects import r_kind
from salver_worker.runtimes.specs import R

CODE = R.markers[0]
CODE_ENDING = ".r"


def recognise_r(view: FileView, _function: str | None) -> Recognition | None:
    kind = "R code" if view.ending == CODE_ENDING else r_kind(view.head)
    return None if kind is None else _found(view.path, kind)


def recognise_r_folder(folder: Path) -> Recognition | None:
    """A folder with a predict.R: what else is in it is for that to open."""
    return _found(folder, "R code") if (folder / CODE).is_file() else None


def _found(path: Path, label: str) -> Recognition:
    return Recognition(runtime="r", artifact=path, trust="code", label=label)
