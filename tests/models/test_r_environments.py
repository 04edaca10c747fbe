"""A model of R wants what its renv.lock says, where packages of R can be installed at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from r_repository import renv_lock
from salver.errors import LoadError
from salver.models.discovery import discover
from salver.models.environmentfiles import request_of_file
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.renv import renv_request
from salver.types import BatchSettings

MakeFile = Callable[..., Path]
CODE = "predict <- function(x) list(y = x)\n"
LOCK = renv_lock("4.2.1", tinybase="1.0")
WANTED = renv_request(LOCK, "renv.lock")
BUILDS = EnvironmentSettings(r_repositories=("file:///cran",))


def only(path: Path, folder: Path) -> ModelSource:
    (model,) = discover([str(path)], folder / "artifacts").models
    return model


def test_it_is_built_where_a_repository_is_set(make_file: MakeFile, tmp_path: Path) -> None:
    folder = make_file("m/predict.R", CODE).parent
    make_file("m/renv.lock", LOCK)
    model = only(folder, tmp_path)
    assert model.wish is not None

    def wanted(settings: EnvironmentSettings) -> object:
        return replica_spec(model, threads=1, batching=BatchSettings(), environments=settings).environment

    assert wanted(EnvironmentSettings()) is None
    assert wanted(BUILDS) == WANTED
    assert request_of_file(folder / "renv.lock") == WANTED


def test_what_is_written_for_python_does_not_count_then(make_file: MakeFile, tmp_path: Path) -> None:
    folder = make_file("m/predict.R", CODE).parent
    make_file("m/renv.lock", LOCK)
    make_file("m/requirements.txt", "numpy\n")
    make_file("m/model.toml", '[environment]\nlock = "requirements.lock"\n')
    model = only(folder, tmp_path)
    assert model.wish is not None
    assert model.wish.request == WANTED
    assert "requirements.txt is not used: renv.lock counts" in model.notes
    assert "lock is not used: renv.lock counts" in model.notes


def test_libraries_that_are_named_are_there_already(make_file: MakeFile, tmp_path: Path) -> None:
    folder = make_file("m/predict.R", CODE).parent
    make_file("m/renv.lock", LOCK)
    make_file("m/model.toml", '[environment]\nr_libraries = ["library"]\n')
    assert only(folder, tmp_path).wish is None


def test_a_lock_that_is_none_is_told(make_file: MakeFile, tmp_path: Path) -> None:
    path = make_file("m/predict.R", CODE)
    make_file("m/renv.lock", "{}")
    with pytest.raises(LoadError, match=r"renv\.lock is no lock of renv"):
        discover([str(path.parent)], tmp_path / "artifacts")
    make_file("n/one.R", CODE)
    make_file("n/renv.lock", "{}")
    model = only(path.parent.parent / "n" / "one.R", tmp_path)
    assert model.wish is None
    assert "renv.lock is no lock of renv. It is not used." in model.notes
