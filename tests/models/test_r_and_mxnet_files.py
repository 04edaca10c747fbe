"""What R and MXNet saved, known by its content."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import LoadError
from salver.models.discovery import discover
from salver.models.formats import identify, recognise
from salver.models.recognising.base import Recognition
from salver.models.robjects import r_kind
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.replicas.environments.base import EnvironmentSettings
from salver.types import BatchSettings
from salver_worker.runtimes.specs import MXNET

MakeFile = Callable[..., Path]
BINARY = b"X\n\0\0\0\3\0\4\2\2\0\3\5\0"
TEXT = b"A\n3\n262658\n197888\n5\nUTF-8\n"
SYMBOL = '{"nodes": [{"op": "null", "name": "x"}],\n "arg_nodes": [0],\n "heads": [[0, 0, 0]]}'


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (BINARY, "R object, saved by R 4.2.2"),
        (TEXT, "R object, saved by R 4.2.2"),
        (b"RDX3\n" + BINARY, "R objects, saved by R 4.2.2"),
        (b"RDA2\n" + TEXT, "R objects, saved by R 4.2.2"),
        (b"RDX3\n", "R objects"),
        (b"X\n", None),
        (b"X\n\0\0\0\7\0\4\2\2", None),
        (b"X\nfor unknown", None),
        (b"A\nlist of words\n", None),
        (b"A\n3", None),
        (b"", None),
    ],
)
def test_what_r_saved_begins_with_its_version(head: bytes, kind: str | None) -> None:
    assert r_kind(head) == kind


@pytest.mark.parametrize("compress", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_compression_does_not_matter(make_file: MakeFile, compress: Callable[[bytes], bytes]) -> None:
    found = recognise(make_file("any name", compress(BINARY + bytes(100))))
    assert (found.runtime, found.trust, found.label) == ("r", "code", "R object, saved by R 4.2.2")


def test_r_code_is_a_model_when_it_is_given_or_is_called_predict(make_file: MakeFile) -> None:
    path = make_file("m/predict.R", "predict <- function(x) x")
    make_file("m/weights.rds", BINARY)
    assert recognise(path).runtime == recognise(path.parent).runtime == "r"
    assert recognise(path.parent).artifact == path.parent
    assert recognise(make_file("other/score.R", "")).label == "R code"


def test_r_code_beside_a_model_is_none(make_file: MakeFile) -> None:
    make_file("m/train.R", "")
    path = make_file("m/weights.rds", BINARY)
    (model,) = discover([str(path.parent)], path.parent / "artifacts").models
    assert model.recognition.artifact == path


def test_a_symbol_with_its_parameters_is_a_model(make_file: MakeFile, tmp_path: Path) -> None:
    path = make_file("m/net-symbol.json", SYMBOL)
    make_file("m/net-0000.params")
    assert recognise(path) == Recognition(runtime="mxnet", artifact=path, trust="data", label="MXNet model")
    (model,) = discover([str(path.parent)], tmp_path / "artifacts").models
    assert (model.name, model.recognition.artifact) == ("m", path)


def test_a_symbol_runs_in_a_python_that_has_mxnet(make_file: MakeFile, tmp_path: Path) -> None:
    path = make_file("m/net-symbol.json", SYMBOL)
    make_file("m/net-0000.params")
    (model,) = discover([str(path.parent)], tmp_path / "artifacts").models
    assert model.wish is not None
    assert model.wish.request.python == MXNET.python == ">=3.8,<3.12"
    assert model.wish.request.requirements == ("mxnet", "numpy")
    assert model.wish.request.constraints == ("numpy<1.24",)
    make_file("m/requirements.txt", "mxnet==1.9.1\n")
    (model,) = discover([str(path.parent)], tmp_path / "artifacts").models
    assert model.wish is not None
    assert model.wish.request.python == ">=3.8,<3.12"
    make_file("m/model.toml", '[environment]\npython = "3.9"')
    (model,) = discover([str(path.parent)], tmp_path / "artifacts").models
    assert model.wish is not None
    assert model.wish.request.python == "3.9"


def test_a_symbol_without_parameters_says_what_is_missing(make_file: MakeFile) -> None:
    with pytest.raises(LoadError, match="its parameters are not beside it") as caught:
        identify(make_file("net-symbol.json", SYMBOL))
    assert caught.value.fix == "Put net-0000.params into the same folder."


@pytest.mark.parametrize("text", ['{"nodes": []}', '{"nodes": 1, "arg_nodes": [], "heads": []}', '{"a": "nodes"}'])
def test_other_json_is_no_symbol(make_file: MakeFile, text: str) -> None:
    assert identify(make_file("net-symbol.json", text)) is None


def test_an_archive_with_a_symbol_runs_with_mxnet(make_mar: MakeFile, tmp_path: Path) -> None:
    path = make_mar("net.mar", handler="service:handle")
    assert only(path, tmp_path).wish is None
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("net-symbol.json", SYMBOL)
    wish = only(path, tmp_path).wish
    assert wish is not None
    assert (wish.request.requirements, wish.request.python) == (("mxnet", "numpy"), MXNET.python)
    assert wish.request.is_inferred


def test_an_archive_that_asks_for_mxnet_gets_a_python_that_has_it(make_mar: MakeFile, tmp_path: Path) -> None:
    path = make_mar("net.mar", handler="service:handle", requirementsFile="requirements.txt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("requirements.txt", "mxnet==1.9.1")
    wish = only(path, tmp_path).wish
    assert wish is not None
    assert (wish.request.requirements, wish.request.python) == (("mxnet==1.9.1", "numpy"), MXNET.python)
    assert wish.request.constraints == ("numpy<1.24",)


def only(path: Path, folder: Path) -> ModelSource:
    (model,) = discover([str(path)], folder / "artifacts").models
    return model


def test_a_model_of_r_is_told_where_r_and_its_packages_are(make_file: MakeFile, tmp_path: Path) -> None:
    path = make_file("m/model.rds", BINARY)
    settings = EnvironmentSettings(r_interpreters=("/a/Rscript", "/b/Rscript"), r_libraries=("/shared",))

    def variables(settings: EnvironmentSettings) -> dict[str, str]:
        model = only(path.parent, tmp_path)
        return replica_spec(model, threads=1, batching=BatchSettings(), environments=settings).variables

    assert variables(EnvironmentSettings()) == {}
    assert variables(settings) == {"SALVER_RSCRIPT": "/a/Rscript:/b/Rscript", "R_LIBS": "/shared"}
    make_file("m/model.toml", '[environment]\nr_libraries = ["library", "/own"]\nvariables = { X = "1" }')
    assert variables(settings)["R_LIBS"] == f"{path.parent / 'library'}:/own:/shared"
    assert variables(settings)["X"] == "1"
