"""What files of single libraries look like, and what they tell of what they are to run in."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import LoadError
from salver.models.formats import identify, recognise
from salver.models.recognising.base import Recognition
from salver.models.recognising.xgboost import xgboost_form
from salver.models.recorded import recorded_requirement
from salver.models.recordedmodels import recorded_packages

MakeFile = Callable[..., Path]
JSON = b'{"learner":{"attributes":{}},"version":[%d,%d,1]}'
UBJSON = b"{L\0\0\0\0\0\0\0\x07learner{}L\0\0\0\0\0\0\0\x07version[#L\0\0\0\0\0\0\0\x03i%ci%ci\x01}"
BARE = b"\0\0\0\x3f" + bytes(132) + b"\x0e\0\0\0\0\0\0\0multi:softprob\x06\0\0\0\0\0\0\0gbtree"


def label(path: Path) -> str:
    found = identify(path)
    assert isinstance(found, Recognition)
    return found.label


@pytest.mark.parametrize(
    ("name", "head", "said"),
    [
        ("m.json", JSON % (3, 2), "XGBoost model (JSON)"),
        ("m.anything", b'{\n  "learner": {', "XGBoost model (JSON)"),
        ("m.ubj", UBJSON % (3, 2), "XGBoost model (UBJSON)"),
        ("m.bst", b"binf\0\0\0\x3f", "XGBoost model (binary)"),
        ("m.model", BARE, "XGBoost model (binary)"),
        ("m.txt", b"tree\nversion=v4\nnum_class=1\n", "LightGBM model (v4)"),
        ("m.bst", b"tree\r\nversion=v3\r\n", "LightGBM model (v3)"),
        ("m.txt", b"tree\nnum_class=1\n", "LightGBM model"),
        ("m.cbm", b"CBM1\x20\0\0\0", "CatBoost model (cbm)"),
        ("m.json", b'{\n"features_info":\n{\n"float_features":\n[', "CatBoost model (JSON)"),
        ("m.json", b'{"ctr_data":{"a":1', "CatBoost model (JSON)"),
        ("m.pmml", b'<?xml version="1.0"?>\n<!-- mine -->\n<PMML xmlns="u" version="4.4">', "PMML 4.4 document"),
        ("m.xml", b"\xef\xbb\xbf<PMML>", "PMML document"),
    ],
)
def test_files_are_known_by_their_content(make_file: MakeFile, name: str, head: bytes, said: str) -> None:
    assert label(make_file(name, head)) == said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("m.json", b'{"learners": {}}'),
        ("m.json", b'{"features_info": {"names": []}}'),
        ("m.json", b'{"model_info": {}}'),
        ("m.txt", b"tree of life\nversion=1"),
        ("m.pmml", b'<?xml version="1.0"?><!DOCTYPE PMML SYSTEM "file:///etc/passwd"><PMML version="4.4">'),
        ("m.xml", b"<html><PMML></PMML></html>"),
        ("m.bin", b"a text on multi:softprob and gbtree"),
    ],
)
def test_other_files_are_not_taken_for_models(make_file: MakeFile, name: str, content: bytes) -> None:
    with pytest.raises(LoadError):
        recognise(make_file(name, content))


@pytest.mark.parametrize(
    ("content", "wanted"),
    [
        (JSON % (3, 2), "xgboost-cpu>=3.2"),
        (UBJSON % (3, 0), "xgboost-cpu>=3.0"),
        (JSON % (1, 7), None),
        (b'{"learner":{', None),
        (b"binf", "xgboost-cpu<3.1"),
        (BARE, "xgboost-cpu<3.1"),
    ],
)
def test_a_booster_of_xgboost_tells_what_reads_it(make_file: MakeFile, content: bytes, wanted: str | None) -> None:
    assert recorded_requirement("xgboost", make_file("m", content)) == wanted


def test_what_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert recorded_requirement("xgboost", tmp_path / "none") is None
    assert recorded_requirement("mlflow", tmp_path) is None
    assert recorded_requirement("spacy", tmp_path) is None
    assert recorded_packages("spacy", tmp_path) == ()
    assert xgboost_form(b"") is None


@pytest.mark.parametrize(
    ("words", "wanted"),
    [(["design_info"], "statsmodels<0.15"), (["model_spec", "design_info"], None), ([], None)],
)
def test_results_of_a_formula_tell_which_statsmodels_reads_them(
    make_file: MakeFile, words: list[str], wanted: str | None
) -> None:
    content = pickle.dumps(dict.fromkeys(words, 1))
    assert recorded_requirement("statsmodels", make_file("m.pickle", content)) == wanted
    assert recorded_requirement("statsmodels", make_file("broken.pickle", b"\x1f\x8b broken")) is None


def pipeline(make_file: MakeFile, **meta: object) -> Path:
    make_file("p/config.cfg", "[nlp]")
    return make_file("p/meta.json", json.dumps({"lang": "en", "pipeline": ["ner"], **meta})).parent


def test_a_pipeline_of_spacy_tells_its_versions_and_what_else_it_needs(make_file: MakeFile) -> None:
    lines = ["spacy-transformers>=1.2", "https://example.com/a.whl", "not a requirement at all"]
    folder = pipeline(make_file, spacy_version=">=3.7.2,<3.8.0", requirements=lines)
    assert label(folder) == "spaCy pipeline (en: ner)"
    assert recorded_requirement("spacy", folder) == "spacy>=3.7.2,<3.8.0"
    assert recorded_packages("spacy", folder) == ("spacy-transformers>=1.2",)


def test_a_pipeline_with_a_version_that_is_none_asks_for_any(make_file: MakeFile) -> None:
    folder = pipeline(make_file, spacy_version="; rm", pipeline=[])
    assert label(folder) == "spaCy pipeline (en: a tokenizer alone)"
    assert recorded_requirement("spacy", folder) is None


@pytest.mark.parametrize("meta", [b"{", b"[]", b'{"lang": "en"}'])
def test_other_folders_with_such_files_are_no_pipelines(make_file: MakeFile, meta: bytes) -> None:
    make_file("p/config.cfg", "[nlp]")
    assert identify(make_file("p/meta.json", meta).parent) is None


def test_an_mlflow_model_without_requirements_tells_its_mlflow(make_file: MakeFile) -> None:
    folder = make_file("m/MLmodel", "flavors: {python_function: {}}\nmlflow_version: 2.9.2\n").parent
    assert (recognise(folder).runtime, recognise(folder).artifact, recognise(folder).trust) == (
        "mlflow",
        folder,
        "code",
    )
    assert recorded_requirement("mlflow", folder) == "mlflow-skinny>=2.9"


@pytest.mark.parametrize(
    ("content", "runtime", "trust"),
    [(b"\x80\x04\x95\x10\0\0\0\0\0\0\0.", "sklearn", "code"), (b"tree\nversion=v4\n", "lightgbm", "data")],
)
def test_an_estimator_that_mlflow_pickled_is_opened_as_one(
    make_file: MakeFile, content: bytes, runtime: str, trust: str
) -> None:
    make_file("m/model.pkl", content)
    folder = make_file("m/MLmodel", "flavors: {lightgbm: {data: model.pkl}, python_function: {}}").parent
    assert (recognise(folder).runtime, recognise(folder).trust) == (runtime, trust)


def test_a_folder_that_mlflow_names_is_taken_as_it_is(make_file: MakeFile) -> None:
    make_file("m/model.xgb/part", b"x")
    folder = make_file("m/MLmodel", "flavors: {xgboost: {data: model.xgb}}").parent
    assert recognise(folder).runtime == "xgboost"
