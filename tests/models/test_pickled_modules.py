"""Which modules a pickle imports is read from its bytes, never by opening it."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
import sys
import types
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from salver.models.pickledmodules import imported_packages, root_module
from salver.models.recordedmodels import recorded_packages

MakeFile = Callable[..., Path]


@pytest.fixture
def made_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """An estimator whose class says that it is of this module."""

    def make(module: str) -> Any:
        kind = type("Estimator", (StandardScaler,), {"__module__": module})
        home = types.ModuleType(module)
        home.Estimator = kind  # type: ignore[attr-defined]
        parts = module.split(".")
        for count in range(1, len(parts)):
            monkeypatch.setitem(sys.modules, ".".join(parts[:count]), types.ModuleType(parts[0]))
        monkeypatch.setitem(sys.modules, module, home)
        return kind()

    return make


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_pipeline_tells_the_libraries_of_its_steps(made_of: Any, tmp_path: Path, protocol: int) -> None:
    steps = [("scale", StandardScaler().fit(np.ones((50, 3)))), ("trees", made_of("lightgbm.sklearn"))]
    steps.append(("more", made_of("xgboost.sklearn")))
    joblib.dump(Pipeline(steps), tmp_path / "m.joblib", protocol=protocol)
    assert imported_packages(tmp_path / "m.joblib") == ("lightgbm", "xgboost-cpu")
    assert recorded_packages("sklearn", tmp_path / "m.joblib") == ("lightgbm", "xgboost-cpu")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zlib.compress])
def test_a_compressed_one_tells_them_too(made_of: Any, make_file: MakeFile, pack: Callable[[bytes], bytes]) -> None:
    path = make_file("m.pkl", pack(pickle.dumps(made_of("catboost.core"))))
    assert imported_packages(path) == ("catboost",)
    assert root_module(path.read_bytes()[:4096]) == "catboost.core"


def test_what_is_behind_large_arrays_is_found(made_of: Any, tmp_path: Path) -> None:
    joblib.dump([np.random.RandomState(0).rand(400_000), made_of("statsmodels.x")], tmp_path / "m.joblib")
    assert imported_packages(tmp_path / "m.joblib") == ("statsmodels",)


def test_text_that_names_a_library_is_no_import(make_file: MakeFile) -> None:
    assert imported_packages(make_file("m.pkl", pickle.dumps({"a": "we use xgboost", "b": 1}))) == ()
    assert imported_packages(make_file("m.pkl", pickle.dumps(["xgboost.sklearn", 1]))) == ()


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"BZh9 broken", b"\x78\x9cbroken", b"plain xgboost"])
def test_what_cannot_be_read_tells_nothing(make_file: MakeFile, content: bytes) -> None:
    assert imported_packages(make_file("m.pkl", content)) == ()
    assert root_module(content) == ""


def test_a_folder_or_another_runtime_tells_nothing(tmp_path: Path) -> None:
    assert imported_packages(tmp_path) == ()
    assert recorded_packages("onnx", tmp_path) == ()


@pytest.mark.parametrize("protocol", [2, 4])
def test_the_root_is_the_class_of_the_object_itself(made_of: Any, protocol: int) -> None:
    assert root_module(pickle.dumps(made_of("statsmodels.a.b"), protocol=protocol)) == "statsmodels.a.b"
    assert root_module(pickle.dumps([1, 2, 3], protocol=protocol)) == ""
    assert root_module(pickle.dumps(list(range(200)), protocol=protocol)) == ""
