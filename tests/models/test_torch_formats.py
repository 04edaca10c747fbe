"""PyTorch's files and folders of Hugging Face: what is told of them without opening any."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.discovery import discover
from salver.models.formats import identify, recognise
from salver.models.recognising.base import Recognition
from salver.models.recorded import recorded_requirement

MakeFile = Callable[..., Path]
OLD = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02"
SAFETENSORS = b"\x10\0\0\0\0\0\0\0{}"
WHOLE = b"\x80\x02ctorch.nn.modules.linear\nLinear\n"


@pytest.mark.parametrize(
    ("name", "members", "kind"),
    [
        ("a.pt2", ("a/archive_format", "a/models/model.json"), "torch.export"),
        ("a.pt2", ("version", "serialized_exported_program.json"), "torch.export"),
        ("a.pt", ("a/data.pkl", "a/constants.pkl", "a/code/net.py"), "TorchScript"),
        ("renamed.zip", ("a/data.pkl", "a/constants.pkl"), "TorchScript"),
    ],
)
def test_programs_are_known_by_what_is_in_them(
    make_torch: MakeFile, name: str, members: tuple[str, ...], kind: str
) -> None:
    path = make_torch(name, *members)
    assert recognise(path) == Recognition(runtime="torch", artifact=path, trust="code", label=f"PyTorch model ({kind})")


def test_weights_belong_to_the_python_beside_them(make_torch: MakeFile, make_file: MakeFile) -> None:
    make_file("net/model.py", "class Net: ...")
    paths = [
        make_torch("net/a.pt", "a/data.pkl", "a/data/0"),
        make_file("net/b.bin", OLD),
        make_file("net/c.safetensors", SAFETENSORS),
        make_file("net/3/c.safetensors", SAFETENSORS),
    ]
    assert {recognise(path).label for path in paths} == {"PyTorch model (weights with their module)"}


@pytest.mark.parametrize("name", ["a.safetensors", "b.bin"])
def test_weights_alone_are_refused_with_what_is_missing(make_file: MakeFile, name: str) -> None:
    with pytest.raises(LoadError) as refused:
        recognise(make_file(name, OLD if name == "b.bin" else SAFETENSORS))
    assert refused.value.code is Code.FORMAT_UNKNOWN
    assert refused.value.message.endswith("holds weights without the model that they belong to")
    assert "model.py" in refused.value.fix


def test_a_whole_module_needs_no_python_beside_it(make_torch: MakeFile) -> None:
    path = make_torch("a.pt", "a/data.pkl", pickle=WHOLE)
    assert recognise(path).label == "PyTorch model (whole module, pickled)"


def test_other_files_are_not_taken_for_pytorch(make_file: MakeFile, make_torch: MakeFile) -> None:
    assert identify(make_file("a.pt", "whatever")) is None
    assert identify(make_file("a.safetensors", "text")) is None
    assert identify(make_torch("a.zip", "a/other")) is None


def hugging_face(make_file: MakeFile, weights: str = "model.safetensors", **config: Any) -> Path:
    make_file(f"hf/{weights}", SAFETENSORS)
    document = {"architectures": ["BertForMaskedLM"], "model_type": "bert", **config}
    return make_file("hf/config.json", json.dumps(document)).parent


def test_a_folder_of_hugging_face_is_data_when_its_weights_are(make_file: MakeFile) -> None:
    folder = hugging_face(make_file)
    label = "Hugging Face model (BertForMaskedLM)"
    assert recognise(folder) == Recognition(runtime="transformers", artifact=folder, trust="data", label=label)


def test_pickled_weights_and_code_of_a_models_own_make_it_code(make_file: MakeFile) -> None:
    folder = hugging_face(make_file, "pytorch_model.bin")
    assert recognise(folder).trust == "code"
    assert recognise(hugging_face(make_file)).trust == "data"
    make_file("hf/tokenizer_config.json", '{"auto_map": {"AutoTokenizer": "own.Tokens"}}')
    assert recognise(folder).trust == "code"


def test_a_folder_is_called_as_its_architecture_else_as_its_kind(make_file: MakeFile) -> None:
    assert recognise(hugging_face(make_file, architectures=None)).label == "Hugging Face model (bert)"
    assert recognise(hugging_face(make_file, model_type=None)).label == "Hugging Face model (BertForMaskedLM)"


@pytest.mark.parametrize("config", ["{", "[]", "{}", '{"model_type": 5}', '{"width": 4}'])
def test_another_config_json_makes_no_such_folder(make_file: MakeFile, config: str) -> None:
    make_file("net/model.safetensors", SAFETENSORS)
    make_file("net/model.py", "class Net: ...")
    assert identify(make_file("net/config.json", config).parent) is None


def test_a_config_without_weights_is_no_model(make_file: MakeFile) -> None:
    assert identify(make_file("hf/config.json", '{"model_type": "bert"}').parent) is None


@pytest.mark.parametrize(
    ("version", "wanted"),
    [("2.13.0+cpu", "torch>=2.13"), ("2.9.1", "torch>=2.9"), ("2.14.0a0+git12", None), ("2.14.0.dev20260101", None)],
)
def test_a_program_wants_the_release_that_saved_it_or_a_newer_one(
    tmp_path: Path, version: str, wanted: str | None
) -> None:
    import zipfile

    path = tmp_path / "a.pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/archive_format", "pt2")
        archive.writestr("a/models/model.json", json.dumps({"graph": {}, "torch_version": version, "guards": []}))
    assert recorded_requirement("torch", path) == wanted


def test_what_tells_no_release_wants_any(make_torch: MakeFile, make_file: MakeFile, tmp_path: Path) -> None:
    assert recorded_requirement("torch", make_torch("a.pt", "a/data.pkl")) is None
    assert recorded_requirement("torch", make_file("b.bin", OLD)) is None
    assert recorded_requirement("torch", make_file("c.pt", b"PK\x03\x04cut")) is None
    assert recorded_requirement("torch", tmp_path / "none.pt") is None
    assert recorded_requirement("torch", make_file("c.safetensors", SAFETENSORS)) == "safetensors"


def test_hugging_face_names_its_release_in_config_json(make_file: MakeFile, tmp_path: Path) -> None:
    folder = hugging_face(make_file, transformers_version="4.57.1")
    assert recorded_requirement("transformers", folder) == "transformers>=4.57"
    assert recorded_requirement("transformers", hugging_face(make_file, transformers_version="5.0.0.dev0")) is None
    assert recorded_requirement("transformers", tmp_path / "none") is None


def test_mlflow_keeps_modules_and_folders_below_its_own(
    make_file: MakeFile, make_torch: MakeFile, tmp_path: Path
) -> None:
    make_file("net/MLmodel", "flavors: {pytorch: {model_data: data, pytorch_version: 2.13.0}}")
    pickled = make_torch("net/data/model.pth", "a/data.pkl", "a/constants.pkl")
    assert recognise(tmp_path / "net").artifact == pickled
    program = make_torch("net/data/model.pt2", "a/archive_format")
    found = recognise(tmp_path / "net")
    assert (found.runtime, found.artifact, found.options) == ("torch", program, {})
    make_file("bert/MLmodel", "flavors: {transformers: {model_binary: model, task: ner}}")
    make_file("bert/model/config.json", "{}")
    found = recognise(tmp_path / "bert")
    assert (found.runtime, found.artifact) == ("transformers", tmp_path / "bert" / "model")
    assert found.options == {"task": "ner"}


def test_triton_and_mlserver_keep_them_where_they_do(make_file: MakeFile, make_torch: MakeFile, tmp_path: Path) -> None:
    make_file("all/net/config.pbtxt", 'platform: "pytorch_libtorch" max_batch_size: 4')
    script = make_torch("all/net/1/model.pt", "a/data.pkl", "a/constants.pkl")
    parameters = {"uri": "./weights", "extra": {"task": "ner"}}
    settings = {"implementation": "mlserver_huggingface.HuggingFaceRuntime", "parameters": parameters}
    make_file("all/bert/model-settings.json", json.dumps(settings))
    make_file("all/bert/weights/model.safetensors", SAFETENSORS)
    make_file("all/bert/weights/config.json", '{"model_type": "bert"}')
    bert, net = discover([str(tmp_path / "all")], tmp_path / "artifacts").models
    assert (net.recognition.runtime, net.recognition.artifact) == ("torch", script)
    assert (bert.recognition.runtime, bert.recognition.trust) == ("transformers", "data")
    assert bert.recognition.artifact == tmp_path / "all" / "bert" / "weights"
    assert bert.worker_manifest()["runtime"] == {"task": "ner"}
