"""What models of single libraries tell of what they are to run in. Bounded amounts are read; nothing is opened."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from salver.errors import LoadError
from salver.models.pickledmodules import imported_packages, names_in
from salver.models.pickles import HEAD_BYTES
from salver.models.recognising.spacy import spacy_meta
from salver.models.recognising.xgboost import xgboost_form
from salver.replicas.environments.requirements import parse_lines

_TAIL_BYTES = 256
_MLMODEL_BYTES = 1024 * 1024
_XGBOOST_JSON = re.compile(rb'"version"\s*:\s*\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*\]\s*\}\s*$')
_XGBOOST_UBJSON = re.compile(rb"version\[#L.{7}\x03i(.)i(.)i.\}$", re.DOTALL)
_MLFLOW = re.compile(rb"^mlflow_version:\s*['\"]?(\d+\.\d+)", re.MULTILINE)
_FORMULAS = (b"design_info", b"model_spec")
"""How statsmodels calls what it keeps of a formula: before 0.15, and since."""
_FIRST_CPU = (2, 1)
"""Of XGBoost: the first release that has the package `xgboost-cpu`."""


def recorded_xgboost(artifact: Path) -> str | None:
    """A newer XGBoost reads what an older one wrote, except for the binary form."""
    try:
        with artifact.open("rb") as file:
            form = xgboost_form(file.read(HEAD_BYTES))
            file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
            tail = file.read()
    except OSError:
        return None
    if form == "binary":
        return "xgboost-cpu<3.1"
    series = _xgboost_series(tail)
    return f"xgboost-cpu>={series[0]}.{series[1]}" if series and series > _FIRST_CPU else None


def _xgboost_series(tail: bytes) -> tuple[int, int] | None:
    if found := _XGBOOST_JSON.search(tail):
        return int(found[1]), int(found[2])
    found = _XGBOOST_UBJSON.search(tail)
    return None if found is None else (found[1][0], found[2][0])


def recorded_spacy(artifact: Path) -> str | None:
    meta = spacy_meta(artifact)
    return f"spacy{meta.spacy_version}" if meta and _is_of_an_index(f"spacy{meta.spacy_version}") else None


def recorded_mlflow(artifact: Path) -> str | None:
    """For an MLflow model without the files that say it better."""
    try:
        with (artifact / "MLmodel").open("rb") as file:
            found = _MLFLOW.search(file.read(_MLMODEL_BYTES))
    except OSError:
        return None
    return None if found is None else f"mlflow-skinny>={found[1].decode()}"


def recorded_statsmodels(artifact: Path) -> str | None:
    """Since 0.15 formulas are kept in another form, and the older one is not read any more."""
    return "statsmodels<0.15" if names_in(artifact, _FORMULAS) == {_FORMULAS[0]} else None


def recorded_packages(runtime: str, artifact: Path) -> tuple[str, ...]:
    """The packages that the artefact needs beside its runtime's own."""
    reader = OTHERS.get(runtime)
    return () if reader is None else reader(artifact)


def _spacy_packages(artifact: Path) -> tuple[str, ...]:
    meta = spacy_meta(artifact)
    return tuple(each for each in (meta.requirements if meta else ()) if _is_of_an_index(each))


def _is_of_an_index(line: str) -> bool:
    """Whether a line can be asked of an index."""
    try:
        return len(parse_lines([line], "meta.json").requirements) == 1
    except LoadError:
        return False


OTHERS: dict[str, Callable[[Path], tuple[str, ...]]] = {
    "sklearn": imported_packages,
    "statsmodels": imported_packages,
    "spacy": _spacy_packages,
}
"""By the name of the runtime."""
