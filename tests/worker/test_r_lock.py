"""What renv.lock wants and R has, and which R is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cases.r import run_r

from salver_worker import frames
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.r_lock import RLock, check, find_lock, is_of_series
from salver_worker.runtimes.r_program import VARIABLE, program, version_of


def write_lock(folder: Path, version: str = "4.2.1", **packages: str) -> None:
    rows = {name: {"Package": name, "Version": each, "Source": "Repository"} for name, each in packages.items()}
    document = {"R": {"Version": version, "Repositories": []}, "Packages": rows}
    (folder / "renv.lock").write_text(json.dumps(document))


def write_r(path: Path, version: str) -> str:
    path.write_text(f'#!/bin/sh\necho "Rscript (R) version {version} (2022-10-31)" >&2\n')
    path.chmod(0o755)
    return str(path)


def test_the_nearest_lock_counts_and_its_own_tool_does_not(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    assert find_lock([str(tmp_path / "inner"), str(tmp_path)]) is None
    write_lock(tmp_path, renv="1.0.0", rpart="4.1.19")
    assert find_lock([str(tmp_path / "inner"), str(tmp_path)]) == RLock("4.2.1", {"rpart": "4.1.19"})
    write_lock(tmp_path / "inner", "4.3.0")
    assert find_lock([str(tmp_path / "inner"), str(tmp_path)]) == RLock("4.3.0", {})


@pytest.mark.parametrize(
    "text", ["", "[]", '{"R": 1, "Packages": {}}', '{"R": {"Version": "4"}, "Packages": {"a": {}}}']
)
def test_a_lock_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "renv.lock").write_text(text)
    with pytest.raises(LoadFailure, match=r"renv\.lock is no lock of renv"):
        find_lock([str(tmp_path)])


def test_what_is_there_is_enough() -> None:
    check(RLock("4.2.1", {"randomForest": "4.7-1.1"}), {"randomForest": "4.7.1.1"})


def test_what_is_missing_and_what_is_different_is_said_exactly() -> None:
    lock = RLock("4.2.1", {"dplyr": "1.1.4", "rpart": "4.1.23", "nnet": "7.3-18"})
    with pytest.raises(LoadFailure) as caught:
        check(lock, {"dplyr": "", "rpart": "4.1.19", "nnet": "7.3-18"})
    assert caught.value.message == "renv.lock wants dplyr 1.1.4, rpart 4.1.23, and R has no dplyr, rpart 4.1.19"
    assert "`apt install r-cran-dplyr`" in caught.value.fix
    assert "r_libraries" in caught.value.fix


def test_of_many_the_first_are_named() -> None:
    with pytest.raises(LoadFailure, match=r"p7 1 and 4 more, and R has p0 2, .* and 4 more") as caught:
        check(RLock("4", {f"p{n:x}": "1" for n in range(12)}), {f"p{n:x}": "2" for n in range(12)})
    assert "apt" not in caught.value.fix


def test_versions_are_of_one_series_by_two_numbers() -> None:
    assert is_of_series("4.2.1", "4.2.2")
    assert not is_of_series("4.2.1", "4.3.1")


def test_of_several_the_one_of_the_locks_series_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write_r(tmp_path / f"r{version}", version) for version in ("4.1.0", "4.2.2", "4.3.1")]
    monkeypatch.setenv(VARIABLE, ":".join(("no-such-r", *paths)))
    assert program() == paths[0]
    assert program("4.3.9") == paths[2]
    assert program("3.6.0") == paths[0]


def test_one_that_says_nothing_has_no_version(tmp_path: Path) -> None:
    (tmp_path / "r").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "r").chmod(0o755)
    assert version_of(str(tmp_path / "r")) == version_of(str(tmp_path / "none")) == ""


def test_none_that_is_there_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "no-such-r:nor-this")
    with pytest.raises(LoadFailure, match="there is no no-such-r or nor-this to run the model with"):
        program()


def test_a_model_is_loaded_only_with_what_its_lock_says(driver: Any, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text("predict <- function(x) x")
    version = run_r('cat(as.character(packageDescription("stats")$Version))')
    write_lock(tmp_path, version, stats=version)
    with driver.WorkerProcess(tmp_path) as worker:
        assert worker.load("r", tmp_path).verb == frames.READY
    write_lock(tmp_path, "2.0.0", stats="2.0.0", nosuchpackage="1.0")
    with driver.WorkerProcess(tmp_path) as worker:
        failed = worker.load("r", tmp_path).header
    assert failed["code"] == "ENVIRONMENT_BROKEN"
    assert failed["message"] == (
        f"renv.lock wants nosuchpackage 1.0, stats 2.0.0, and R has no nosuchpackage, stats {version}"
    )
    write_lock(tmp_path, "2.0.0")
    with driver.WorkerProcess(tmp_path) as worker:
        assert worker.load("r", tmp_path).header["details"]["renv.lock"] == "made with R 2.0.0"
        assert "renv.lock was made with R 2.0.0, and this is " in worker.log


TINY = """
folder <- commandArgs(TRUE)[1]
dir.create(file.path(folder, "tinyr", "R"), recursive = TRUE)
told <- c(Package = "tinyr", Version = "1.2", Title = "T", Description = "D.", License = "GPL-3", Author = "A",
          Maintainer = "A <a@b.c>")
writeLines(paste0(names(told), ": ", told), file.path(folder, "tinyr", "DESCRIPTION"))
writeLines("export(twice)", file.path(folder, "tinyr", "NAMESPACE"))
writeLines("twice <- function(x) 2 * x", file.path(folder, "tinyr", "R", "a.R"))
dir.create(file.path(folder, "library"))
install.packages(file.path(folder, "tinyr"), file.path(folder, "library"), NULL, type = "source", quiet = TRUE)
"""


def test_packages_come_from_a_library_that_is_given(driver: Any, tmp_path: Path) -> None:
    run_r(TINY, tmp_path)
    (tmp_path / "predict.R").write_text("library(tinyr)\npredict <- function(x) twice(x)")
    write_lock(tmp_path, tinyr="1.2")
    with driver.WorkerProcess(tmp_path, variables={"R_LIBS": str(tmp_path / "library")}) as worker:
        answer = worker.load("r", tmp_path)
        assert answer.verb == frames.READY, answer.header
        assert answer.header["details"]["packages"] == "tinyr 1.2"
        found = worker.attach().predict(driver.tensor("x", [2], "FP64"))
        assert found.arrays["prediction"].tolist() == [4]
    with driver.WorkerProcess(tmp_path) as worker:
        assert "R has no tinyr" in worker.load("r", tmp_path).header["message"]
