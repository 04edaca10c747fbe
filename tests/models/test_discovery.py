"""What the command line means, from files to versions."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from salver.errors import Code, LoadError, SalverError, StartupError
from salver.models.discovery import discover
from salver.models.sources import Discovery, ModelSource

MakeFile = Callable[..., Path]
PICKLE = pickle.dumps([1])


@pytest.fixture
def find(tmp_path: Path) -> Callable[..., Discovery]:
    """Discovers what arguments mean; archives are unpacked away from the models."""

    def run(*arguments: Path | str) -> Discovery:
        return discover([str(argument) for argument in arguments], tmp_path / "data" / "artifacts")

    return run


def shown(models: Sequence[ModelSource]) -> list[str]:
    return [f"{model.id} {model.recognition.runtime}" for model in models]


def only(found: Discovery) -> ModelSource:
    assert len(found.models) == 1
    assert found.failures == ()
    return found.models[0]


def fault(find: Callable[..., Discovery], *arguments: Path | str) -> SalverError:
    with pytest.raises(SalverError) as caught:
        find(*arguments)
    return caught.value


# Files


def test_a_file_is_version_1_of_a_model_called_like_it(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    model = only(find(make_file("iris.v2.joblib", PICKLE)))
    assert (model.name, model.version, model.environment) == ("iris.v2", 1, "the server's Python")
    assert model.source == str(model.recognition.artifact)
    assert model.folder == model.recognition.artifact.parent
    assert (model.notes, model.details) == ((), {})


def test_paths_are_absolute_and_the_source_is_as_given(
    find: Callable[..., Discovery], make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    make_file("iris.joblib", PICKLE)
    monkeypatch.chdir(tmp_path)
    model = only(find("iris.joblib"))
    assert model.source == "iris.joblib"
    assert (model.folder, model.recognition.artifact) == (tmp_path, tmp_path / "iris.joblib")


def test_a_name_may_be_given(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    path = make_file("model.joblib", PICKLE)
    assert only(find(f"flowers={path}")).name == "flowers"


def test_a_name_that_does_not_fit_is_cleaned_and_told(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    model = only(find(make_file("my model.joblib", PICKLE)))
    assert model.name == "my-model"
    assert model.notes[0].startswith("named my-model, because `my model` is not ")


def test_a_name_of_which_nothing_is_left_must_be_given(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    error = fault(find, make_file("模型.joblib", PICKLE))
    assert error.code is Code.SETTINGS_INVALID
    assert error.fix.startswith("Give it one, as my-model=")


def test_a_function_is_served_by_its_file(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    path = make_file("app.py", "def predict(x): ...\ndef score(x): ...")
    assert only(find(path)).worker_manifest()["function"] == "predict"
    model = only(find(f"{path}:score"))
    assert (model.name, model.recognition.label) == ("app", "Python function score")
    assert (model.worker_manifest()["function"], model.worker_manifest()["handler"]) == ("score", None)
    assert only(find(f"mine={path}:score")).name == "mine"


def test_a_model_that_is_no_function_has_no_such_key(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    assert "function" not in only(find(make_file("a.joblib", PICKLE))).worker_manifest()


def test_a_path_with_an_equals_sign_in_it_is_a_path(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    assert only(find(make_file("run=3/model.joblib", PICKLE))).name == "model"


def test_the_manifest_beside_a_file_counts(find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path) -> None:
    path = make_file("iris.joblib", PICKLE)
    make_file("model.toml", "name = 'flowers'\n[environment]\npython = '/usr/bin/python3'")
    model = only(find(path))
    assert (model.name, model.environment) == ("flowers", "/usr/bin/python3")
    assert model.manifest_file is not None
    assert model.manifest_file.path == str(tmp_path / "model.toml")


def test_a_manifest_about_another_file_is_not_used_and_that_is_told(
    find: Callable[..., Discovery], make_file: MakeFile
) -> None:
    make_file("a.joblib", PICKLE)
    path = make_file("b.joblib", PICKLE)
    manifest = make_file("model.toml", "name = 'flowers'\nartifact = 'a.joblib'")
    model = only(find(path))
    assert (model.name, model.manifest_file) == ("b", None)
    assert model.notes == (f"{manifest} is about a.joblib and is not used",)


def test_a_function_that_is_asked_for_goes_before_the_handler(
    find: Callable[..., Discovery], make_file: MakeFile
) -> None:
    path = make_file("app.py", "def predict(x): ...\ndef score(x): ...")
    make_file("model.toml", "name = 'scorer'\nhandler = 'app.py:predict'")
    model = only(find(f"{path}:score"))
    assert (model.name, model.recognition.function) == ("scorer", "score")
    assert only(find(path)).recognition.function == "predict"


def test_a_file_of_no_known_format_is_refused(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    assert fault(find, make_file("notes.txt", "hello")).code is Code.FORMAT_UNKNOWN


# Archives


def test_an_archive_brings_its_name_and_version_and_is_unpacked(
    find: Callable[..., Discovery], make_mar: MakeFile, tmp_path: Path
) -> None:
    model = only(find(make_mar("file.mar", modelName="noop", modelVersion="2.1", handler="service:handle")))
    assert (model.name, model.version, model.details) == ("noop", 2, {"archive_version": "2.1"})
    assert model.source == str(tmp_path / "file.mar")
    assert model.folder == model.recognition.artifact
    assert model.folder.parent == tmp_path / "data" / "artifacts"
    assert (model.folder / "service.py").is_file()


def test_an_archive_with_a_manifest_beside_it_keeps_that_folder_for_its_files(
    find: Callable[..., Discovery], make_mar: MakeFile, make_file: MakeFile, tmp_path: Path
) -> None:
    path = make_mar("m/file.mar", modelName="noop")
    make_file("m/model.toml", "handler = 'service:handle'\nname = 'better'")
    model = only(find(path))
    assert (model.name, model.folder) == ("better", tmp_path / "m")
    assert model.worker_manifest()["handler"] == "service:handle"


def test_two_versions_of_an_archive_are_two_versions_of_a_model(
    find: Callable[..., Discovery], make_mar: MakeFile, tmp_path: Path
) -> None:
    make_mar("store/a.mar", modelName="noop", modelVersion="1.0", handler="h")
    make_mar("store/b.mar", modelName="noop", modelVersion="2.0", handler="h")
    assert shown(find(tmp_path / "store").models) == ["noop/1 mar", "noop/2 mar"]


def test_an_unpacked_archive_is_one_model(find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path) -> None:
    make_file("noop/MAR-INF/MANIFEST.json", '{"model": {"modelName": "inner", "modelVersion": "3", "handler": "h"}}')
    make_file("noop/1/data.joblib", PICKLE)
    model = only(find(tmp_path / "noop"))
    assert (str(model.id), model.recognition.artifact) == ("inner/3", tmp_path / "noop")


# Folders


def test_a_folder_with_one_model_is_called_like_the_folder(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    make_file("flowers/iris.joblib", PICKLE)
    assert shown(find(tmp_path / "flowers").models) == ["flowers/1 sklearn"]
    assert only(find(f"x={tmp_path / 'flowers'}")).name == "x"


def test_the_folder_one_stands_in_has_its_own_name(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file("flowers/iris.joblib", PICKLE)
    make_file("flowers/deep/x.txt", "x")
    monkeypatch.chdir(tmp_path / "flowers" / "deep")
    assert only(find("..")).name == "flowers"
    monkeypatch.chdir(tmp_path / "flowers")
    assert only(find(".")).name == "flowers"


def test_numbered_folders_are_versions_and_the_highest_is_served(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    for number in ("1", "00000123", "9"):
        make_file(f"half/{number}/model.joblib", PICKLE)
    model = only(find(tmp_path / "half"))
    assert (str(model.id), model.source) == ("half/123", str(tmp_path / "half" / "00000123"))


def test_a_numbered_folder_by_itself_is_that_version(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file("half/7/model.joblib", PICKLE)
    make_file("half/8/model.joblib", PICKLE)
    make_file("half/model.toml", "deadline_s = 3")
    model = only(find(tmp_path / "half" / "7"))
    assert (str(model.id), model.manifest.deadline_s) == ("half/7", 3)
    monkeypatch.chdir(tmp_path / "half")
    assert str(only(find("7")).id) == "half/7"


def test_the_manifest_of_a_version_stands_instead_of_the_models(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    make_file("half/model.toml", "deadline_s = 3")
    make_file("half/1/model.joblib", PICKLE)
    model = only(find(tmp_path / "half"))
    assert (model.manifest.deadline_s, model.folder) == (3, tmp_path / "half")
    make_file("half/1/model.toml", "replicas = 2")
    model = only(find(tmp_path / "half"))
    assert (model.manifest.deadline_s, model.manifest.replicas) == (None, 2)
    assert model.folder == tmp_path / "half" / "1"


def test_a_folder_of_models_is_all_of_them(
    find: Callable[..., Discovery], make_file: MakeFile, onnx_model: bytes, tmp_path: Path
) -> None:
    make_file("store/flat.onnx", onnx_model)
    make_file("store/folder/iris.joblib", PICKLE)
    make_file("store/versions/3/model.onnx", onnx_model)
    make_file("store/described/app.py", "def predict(x): ...")
    make_file("store/described/model.toml", "")
    make_file("store/notes/readme.txt", "hello")
    make_file("store/.git/model.onnx", onnx_model)
    found = find(tmp_path / "store")
    assert shown(found.models) == ["described/1 function", "flat/1 onnx", "folder/1 sklearn", "versions/3 onnx"]
    assert found.notes == (f"{tmp_path / 'store' / 'notes'} holds no model",)


def test_a_model_called_model_is_the_folders_whatever_its_folders_hold(
    find: Callable[..., Discovery], make_file: MakeFile, onnx_model: bytes, tmp_path: Path
) -> None:
    make_file("net/model.onnx", onnx_model)
    make_file("net/scaler.joblib", PICKLE)
    make_file("net/assets/words.joblib", PICKLE)
    assert shown(find(tmp_path / "net").models) == ["net/1 onnx"]


def test_a_flat_folder_is_all_its_files(find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path) -> None:
    make_file("store/a.joblib", PICKLE)
    make_file("store/b.joblib", PICKLE)
    make_file("store/helper.py", "def predict(x): ...")
    assert shown(find(tmp_path / "store").models) == ["a/1 sklearn", "b/1 sklearn"]


def test_a_bad_model_spoils_no_other(
    find: Callable[..., Discovery], make_file: MakeFile, make_mar: MakeFile, onnx_model: bytes, tmp_path: Path
) -> None:
    make_file("store/good.joblib", PICKLE)
    make_file("store/good.onnx", onnx_model[:-40])
    make_file("store/other.plan", "x")
    make_file("store/wrong/model.toml", "nmae = 'x'")
    make_file("store/two/a.joblib", PICKLE)
    make_file("store/two/b.joblib", PICKLE)
    make_file("store/archive/MAR-INF/MANIFEST.json", "{")
    make_file("store/模型.joblib", PICKLE)
    found = find(tmp_path / "store")
    assert shown(found.models) == ["good/1 sklearn"]
    assert {failure.source.removeprefix(f"{tmp_path}/store"): failure.error.code for failure in found.failures} == {
        "": Code.FORMAT_UNKNOWN,
        "/other.plan": Code.FORMAT_UNKNOWN,
        "/wrong": Code.MANIFEST_INVALID,
        "/two": Code.FORMAT_UNKNOWN,
        "/archive": Code.MANIFEST_INVALID,
        "/模型.joblib": Code.SETTINGS_INVALID,
    }


def test_a_folder_in_which_all_fail_is_refused_with_the_first_reason(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    make_file("store/a.plan", "x")
    assert fault(find, tmp_path / "store").message.startswith(f"{tmp_path}/store/a.plan is a TensorRT engine")
    make_file("store/b.plan", "x")
    error = fault(find, tmp_path / "store")
    assert isinstance(error, LoadError)
    assert error.message.startswith(
        f"none of the 2 models in {tmp_path}/store can be served; the first: {tmp_path}/store/a.plan is"
    )


def test_a_folder_of_python_files_is_one_model(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    make_file("app/serve.py", "def predict(x): ...")
    make_file("app/notes/readme.txt", "x")
    assert shown(find(tmp_path / "app").models) == ["app/1 function"]


def test_an_empty_folder_says_so(find: Callable[..., Discovery], tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    error = fault(find, tmp_path / "store")
    assert (error.code, error.message) == (Code.FORMAT_UNKNOWN, f"{tmp_path}/store is empty")


def test_a_folder_of_models_cannot_have_one_name(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path
) -> None:
    make_file("store/a.joblib", PICKLE)
    make_file("store/b.joblib", PICKLE)
    error = fault(find, f"x={tmp_path}/store")
    assert error.code is Code.SETTINGS_INVALID
    assert error.message == f"{tmp_path}/store is a folder of models (a, b); it cannot be named x itself"


# The command line as a whole


def test_two_sources_of_one_version_are_refused_by_both_their_names(
    find: Callable[..., Discovery], make_file: MakeFile
) -> None:
    first, second = make_file("a/iris.joblib", PICKLE), make_file("b/iris.joblib", PICKLE)
    error = fault(find, first, second)
    assert isinstance(error, StartupError)
    assert error.code is Code.CONFLICT
    assert error.message == f"both {first} and {second} would be version 1 of the model iris"
    assert error.fix == f"Give one of them another name, as other-name={second}, or leave one out."


def test_models_come_by_name_and_version(find: Callable[..., Discovery], make_file: MakeFile) -> None:
    first, second = make_file("b.joblib", PICKLE), make_file("a.joblib", PICKLE)
    assert shown(find(first, second).models) == ["a/1 sklearn", "b/1 sklearn"]


@pytest.mark.parametrize(("argument", "name"), [("echo", "echo"), ("mirror=echo", "mirror")])
def test_the_echo_model_is_built_in(
    find: Callable[..., Discovery], argument: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = only(find(argument))
    assert (model.name, model.recognition.runtime, model.source) == (name, "echo", "built in")
    assert model.recognition.artifact.is_file()


def test_a_file_called_echo_goes_before_the_built_in_one(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file("echo", PICKLE)
    monkeypatch.chdir(tmp_path)
    assert only(find("echo")).recognition.runtime == "sklearn"


@pytest.mark.parametrize(
    ("argument", "fix"),
    [
        ("modle.joblib", "Did you mean model.joblib?"),
        ("app:predict", "Did you mean app.py:predict?"),
        ("x=modle.joblib", "Did you mean model.joblib?"),
        ("zzzzzz", "Check the path; . is there and has 2 entries, none of a name like this."),
        ("nowhere/model.joblib", "Check the path; there is no folder nowhere either."),
        ("", "Check the path; . is there and has 2 entries, none of a name like this."),
    ],
)
def test_what_is_not_there_is_told_with_what_was_meant(
    find: Callable[..., Discovery],
    make_file: MakeFile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    argument: str,
    fix: str,
) -> None:
    make_file("model.joblib", PICKLE)
    make_file("app.py", "def predict(x): ...")
    monkeypatch.chdir(tmp_path)
    error = fault(find, argument)
    assert isinstance(error, StartupError)
    assert (error.code, error.fix) == (Code.SETTINGS_INVALID, fix)


def test_a_home_folder_is_understood(
    find: Callable[..., Discovery], make_file: MakeFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_file("iris.joblib", PICKLE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert only(find("x=~/iris.joblib")).folder == tmp_path


def test_all_numbered_versions_are_found_when_they_are_asked_for(
    make_file: MakeFile, tmp_path: Path, onnx_model: bytes
) -> None:
    for version in (1, 2, 10):
        make_file(f"models/spam/{version}/model.onnx", onnx_model)
    make_file("models/spam/11/model.onnx", b"")
    found = discover([str(tmp_path / "models")], tmp_path, has_all_versions=True)
    assert [model.version for model in found.models] == [1, 2, 10]
    assert [failure.source for failure in found.failures] == [str(tmp_path / "models" / "spam" / "11")]
