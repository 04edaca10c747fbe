"""What a folder's model is kept in."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.artifact import find_artifact
from salver.models.manifestfile import read_manifest
from salver.models.recognising.base import Recognition

MakeFile = Callable[..., Path]
PICKLE = pickle.dumps([1])


def find(folder: Path) -> Recognition:
    manifest = folder / "model.toml"
    return find_artifact(folder, read_manifest(manifest) if manifest.exists() else None)


def fault(folder: Path) -> LoadError:
    with pytest.raises(LoadError) as caught:
        find(folder)
    return caught.value


def test_the_only_model_is_taken_whatever_else_is_there(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("iris.joblib", PICKLE)
    make_file("labels.txt", "a\nb")
    make_file("helper.py", "def f(): ...\ndef g(): ...")
    assert find(tmp_path).artifact == tmp_path / "iris.joblib"


def test_of_several_the_one_called_model_is_taken(make_file: MakeFile, onnx_model: bytes, tmp_path: Path) -> None:
    make_file("model.onnx", onnx_model)
    make_file("scaler.joblib", PICKLE)
    assert find(tmp_path).runtime == "onnx"


def test_several_without_a_reason_to_take_one_are_told(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("a.joblib", PICKLE)
    make_file("b.joblib", PICKLE)
    error = fault(tmp_path)
    assert error.message == f"{tmp_path} holds several models: a.joblib, b.joblib"
    assert error.fix == f'Say which one is meant: artifact = "a.joblib" in {tmp_path}/model.toml.'


def test_the_manifest_says_which_one(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("a.joblib", PICKLE)
    make_file("deep/b.joblib", PICKLE)
    make_file("model.toml", "artifact = 'deep/b.joblib'")
    assert find(tmp_path).artifact == tmp_path / "deep" / "b.joblib"


def test_an_artifact_that_is_not_there_is_told_with_its_line(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("a.joblib", PICKLE)
    make_file("model.toml", "\nartifact = 'a.jobib'")
    error = fault(tmp_path)
    assert error.code is Code.MANIFEST_INVALID
    assert error.message == f"{tmp_path}/model.toml, line 2: `artifact`: there is no a.jobib in {tmp_path}"
    assert error.fix == "Did you mean `a.joblib`?"


@pytest.mark.parametrize("name", ["zzz", "nowhere/a.joblib"])
def test_an_artifact_that_is_like_nothing_has_the_general_advice(
    make_file: MakeFile, tmp_path: Path, name: str
) -> None:
    make_file("a.joblib", PICKLE)
    make_file("model.toml", f"artifact = '{name}'")
    assert fault(tmp_path).fix == Code.MANIFEST_INVALID.fix


def test_a_python_file_is_the_model_where_nothing_else_is(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("app.py", "def predict(x): ...")
    make_file("labels.txt", "a")
    assert find(tmp_path).function == "predict"


def test_of_several_python_files_the_one_called_model_is_taken(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("model.py", "def predict(x): ...")
    make_file("tools.py", "def clean(x): ...")
    assert find(tmp_path).artifact.name == "model.py"


def test_a_python_file_beside_a_format_that_is_not_served_is_not_guessed(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("net.plan", "x")
    make_file("net.py", "def predict(x): ...")
    assert "net.plan is a TensorRT engine" in fault(tmp_path).message


def test_a_handler_is_the_model(make_file: MakeFile, onnx_model: bytes, tmp_path: Path) -> None:
    make_file("model.onnx", onnx_model)
    make_file("code/serve.py", "def answer(x): ...")
    make_file("model.toml", "handler = 'code/serve.py:answer'")
    found = find(tmp_path)
    assert (found.runtime, found.artifact, found.function) == ("function", tmp_path / "code" / "serve.py", "answer")


def test_a_handler_without_a_function_is_asked_for_the_obvious_one(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("serve.py", "def answer(x): ...")
    make_file("model.toml", "handler = 'serve.py'\nruntime = 'function'")
    assert find(tmp_path).function == "answer"


def test_a_handler_that_is_not_there_is_told(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("serve.py", "def answer(x): ...")
    make_file("model.toml", "handler = 'server.py:answer'")
    assert fault(tmp_path).message.endswith(f"line 1: `handler`: there is no server.py in {tmp_path}")


def test_a_handler_of_an_archive_is_the_archives_affair(
    make_mar: MakeFile, make_file: MakeFile, tmp_path: Path
) -> None:
    make_mar("noop.mar", modelName="noop")
    make_file("model.toml", "handler = 'service:handle'")
    assert find(tmp_path).runtime == "mar"


def test_a_runtime_that_is_named_picks_its_own_files(make_file: MakeFile, onnx_model: bytes, tmp_path: Path) -> None:
    make_file("net.onnx", onnx_model)
    make_file("scaler.joblib", PICKLE)
    make_file("model.toml", "runtime = 'sklearn'")
    assert find(tmp_path).artifact.name == "scaler.joblib"


def test_a_runtime_that_is_named_is_taken_at_its_word(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("old.pkl", "a pickle of protocol 0")
    make_file("model.toml", "runtime = 'sklearn'")
    found = find(tmp_path)
    assert (found.runtime, found.artifact.name, found.trust) == ("sklearn", "old.pkl", "code")
    make_file("model.toml", "runtime = 'onnx'\nartifact = 'old.pkl'")
    assert (find(tmp_path).runtime, find(tmp_path).trust) == ("onnx", "data")


def test_a_runtime_without_a_file_of_its_own_is_told(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("scaler.joblib", PICKLE)
    make_file("model.toml", "runtime = 'onnx'")
    assert "holds no model that is known" in fault(tmp_path).message


def test_echo_needs_no_file(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("model.toml", "runtime = 'echo'")
    assert find(tmp_path).artifact == tmp_path


def test_an_unpacked_archive_is_its_folder(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("MAR-INF/MANIFEST.json", '{"model": {"handler": "h"}}')
    make_file("weights.joblib", PICKLE)
    assert find(tmp_path).artifact == tmp_path


def test_a_saved_model_is_its_folder(data: Path) -> None:
    folder = data / "savedmodel" / "saved_model_half_plus_three" / "00000123"
    assert (find(folder).artifact, find(folder).runtime) == (folder, "tensorflow")


def test_a_damaged_model_says_so(make_file: MakeFile, onnx_model: bytes, tmp_path: Path) -> None:
    make_file("net.onnx", onnx_model[:-40])
    make_file("net.py", "def predict(x): ...")
    assert "cut short" in fault(tmp_path).message
