"""Which runtime a file or a folder wants."""

from __future__ import annotations

import gzip
import io
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.formats import accepted_formats, identify, recognise
from salver.models.recognising.base import Recognition
from salver.models.recognising.table import FILES, FOLDERS
from salver.models.zips import MAX_DIRECTORY_BYTES
from salver_worker.runtimes.specs import SPECS


def fault(path: Path, function: str | None = None) -> LoadError:
    with pytest.raises(LoadError) as caught:
        recognise(path, function)
    return caught.value


MakeFile = Callable[..., Path]
SAVED_MODEL = b"\x08\x01"
HDF5 = b"\x89HDF\r\n\x1a\n"
JAX_EXPORT = (
    (16).to_bytes(4, "little")  # where the root table is
    + (8).to_bytes(2, "little") * 2  # the table of its fields: its own size first
    + bytes(8)
    + (12).to_bytes(4, "little")  # the root table: how far back the other one lies
    + bytes(108)
    + b"ML\xefR\rStableHLO_v1.13.0"
)


@pytest.fixture
def make_keras(make_file: MakeFile) -> MakeFile:
    """Writes what Keras 3 saves, without any weights."""

    def make(name: str, metadata: str = '{"keras_version": "3.5.0"}') -> Path:
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("metadata.json", metadata)
            archive.writestr("config.json", "{}")
            archive.writestr("model.weights.h5", HDF5)
        return make_file(name, content.getvalue())

    return make


def test_every_runtime_has_what_knows_its_files() -> None:
    assert {*FILES, *FOLDERS} == {spec.name for spec in SPECS if spec.module}


def test_every_recognition_has_the_trust_of_its_runtime(
    make_file: MakeFile, make_mar: MakeFile, make_torch: MakeFile, make_keras: MakeFile, onnx_model: bytes
) -> None:
    make_file("hf/config.json", '{"model_type": "bert"}')
    paths = [
        make_file("a.echo"),
        make_file("a.py", "def predict(x): ..."),
        make_file("a.onnx", onnx_model),
        make_file("a.joblib", pickle.dumps([1])),
        make_mar("a.mar", handler="service:handle"),
        make_torch("a.pt2", "a/archive_format"),
        make_file("hf/pytorch_model.bin", "x").parent,
        make_file("a-symbol.json", '{"nodes": [], "arg_nodes": [], "heads": []}'),
        make_file("a.R", "predict <- function(x) x"),
    ]
    make_file("a-0000.params")
    paths += [
        make_file("folder/saved_model.pb", SAVED_MODEL).parent,
        make_keras("a.keras"),
        make_file("a.tflite", b"\x1c\0\0\0TFL3"),
        make_file("a.jax", JAX_EXPORT),
        make_file("a.ubj", b"{L\0\0\0\0\0\0\0\x07learner{L"),
        make_file("a.lgb", b"tree\nversion=v4\n"),
        make_file("a.cbm", b"CBM1"),
        make_file("a.pmml", b"<PMML version='4.4'>"),
        make_file("a.statsmodels", b"\x80\x02cstatsmodels.a\nResults\n)\x81."),
        make_file("pipeline/meta.json", b'{"lang": "en", "pipeline": []}').parent,
        make_file("logged/MLmodel", b"flavors: {python_function: {}}").parent,
    ]
    make_file("pipeline/config.cfg")
    found = {recognise(path).runtime: recognise(path).trust for path in paths}
    assert found == {spec.name: spec.trust for spec in SPECS if spec.module}


def test_onnx_is_known_by_its_content_alone(make_file: MakeFile, onnx_model: bytes) -> None:
    path = make_file("weights.bin", onnx_model)
    assert recognise(path) == Recognition(
        runtime="onnx", artifact=path, trust="data", label="ONNX model (opset 17, 1 input)"
    )


def test_the_ort_format_is_known(make_file: MakeFile) -> None:
    assert recognise(make_file("a.ort", b"\x20\0\0\0ORTM")).label == "ONNX model (ORT format)"


def test_onnx_that_is_cut_short_is_told(make_file: MakeFile, onnx_model: bytes) -> None:
    error = fault(make_file("a.onnx", onnx_model[:-40]))
    assert error.code is Code.FORMAT_UNKNOWN
    assert "is an ONNX model that is cut short" in error.message


def test_other_bytes_that_begin_alike_are_not_taken_for_cut_short_onnx(make_file: MakeFile, onnx_model: bytes) -> None:
    assert identify(make_file("a.dat", onnx_model[:-40])) is None


@pytest.mark.parametrize("name", ["a.pkl", "a.joblib", "model"])
def test_pickles_are_known_and_never_opened(make_file: MakeFile, name: str) -> None:
    content = pickle.dumps([1], protocol=4).replace(b"K\x01", b"cno_such_module\nboom\n)R")
    found = recognise(make_file(name, content))
    assert (found.runtime, found.trust, found.label) == ("sklearn", "code", "scikit-learn model (pickle, protocol 4)")


def test_compressed_pickles_are_known(make_file: MakeFile) -> None:
    import bz2

    content = pickle.dumps([b"x" * 300_000])
    assert recognise(make_file("a.joblib.gz", gzip.compress(content))).label.endswith("(gzip-compressed pickle)")
    assert recognise(make_file("a.joblib.bz2", bz2.compress(content))).label.endswith("(bzip2-compressed pickle)")


def test_skops_files_are_known(make_file: MakeFile) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("schema.json", "{}")
    assert recognise(make_file("a.skops", content.getvalue())).label == "scikit-learn model (skops file)"


def test_python_files_are_known_with_their_function(make_file: MakeFile) -> None:
    path = make_file("app.py", "def predict(x): ...\ndef score(x): ...")
    assert (recognise(path).function, recognise(path).label) == ("predict", "Python function predict")
    assert recognise(path, "score").function == "score"
    assert "has no function `scor`" in fault(path, "scor").message
    assert recognise(make_file("lib.py", "")).label == "Python file"


def test_model_archives_are_known_packed_and_unpacked(make_file: MakeFile, make_mar: MakeFile, tmp_path: Path) -> None:
    packed = recognise(make_mar("noop.mar", modelName="noop", handler="service:handle"))
    assert (packed.runtime, packed.label) == ("mar", "model archive (handler service:handle)")
    make_file("folder/MAR-INF/MANIFEST.json", '{"model": {"modelName": "n", "handler": "h"}}')
    unpacked = recognise(tmp_path / "folder")
    assert unpacked.archive is not None
    assert (unpacked.runtime, unpacked.archive.name) == ("mar", "n")


def test_a_manifest_that_cannot_be_unpacked_is_told(make_file: MakeFile, make_mar: MakeFile) -> None:
    content = bytearray(make_mar("noop.mar", modelName="noop", handler="a" * 2000).read_bytes())
    content[60:70] = b"\xff" * 10
    assert "is a damaged zip" in fault(make_file("bad.mar", bytes(content))).message


def test_a_zip_without_its_end_is_told(make_file: MakeFile, make_mar: MakeFile) -> None:
    content = make_mar("noop.mar", handler="h").read_bytes()
    error = fault(make_file("cut.mar", content[:-30]))
    assert "cut.mar is a damaged zip: File is not a zip file" in error.message


def test_a_zip_with_an_endless_list_of_entries_is_not_read(make_file: MakeFile) -> None:
    end = b"PK\x05\x06" + b"\0" * 4 + b"\xff\x7f" * 2 + (MAX_DIRECTORY_BYTES + 1).to_bytes(4, "little") + b"\0" * 6
    error = fault(make_file("bomb.zip", b"PK\x03\x04" + b"\0" * (MAX_DIRECTORY_BYTES + 2) + end))
    assert f"whose list of entries is longer than {MAX_DIRECTORY_BYTES} bytes" in error.message


def test_a_format_without_a_runtime_is_named_with_what_helps(make_file: MakeFile) -> None:
    error = fault(make_file("net.caffemodel", b"whatever"))
    assert error.message.endswith("net.caffemodel is a Caffe model: its runtime is not part of this release")
    assert error.fix == "Convert it to ONNX."


def test_a_packed_tar_is_told_to_be_unpacked(make_file: MakeFile) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        archive.addfile(tarfile.TarInfo("MAR-INF/MANIFEST.json"))
    error = fault(make_file("noop.tar.gz", content.getvalue()))
    assert error.message.endswith("noop.tar.gz is a tar archive")
    assert error.fix.startswith("Unpack it")


def test_a_saved_model_is_known_by_its_folder_and_by_its_graph(data: Path) -> None:
    folder = data / "savedmodel" / "saved_model_half_plus_three" / "00000123"
    for path in (folder, folder / "saved_model.pb"):
        found = recognise(path)
        assert (found.runtime, found.artifact, found.label) == ("tensorflow", folder, "TensorFlow SavedModel")


def test_a_checkpoint_says_that_it_is_none(data: Path) -> None:
    error = fault(data / "savedmodel" / "bad_half_plus_two" / "00000123")
    assert error.message.endswith("is a checkpoint of TensorFlow, which has no signatures")
    assert "tf.saved_model.save" in error.fix


def test_keras_is_known_by_its_content(make_file: MakeFile, make_keras: MakeFile) -> None:
    found = recognise(make_keras("weights.bin"))
    assert (found.runtime, found.trust, found.label) == ("keras", "code", "Keras model (Keras 3.5.0)")
    old = recognise(make_file("a.dat", HDF5 + b"model_config" + bytes(9) + b'{"batch_input_shape": [null, 4]}'))
    assert (old.runtime, old.label) == ("keras", "Keras model (Keras 2)")
    assert recognise(make_file("b.h5", HDF5 + bytes(2_000_000) + b"model_config")).label == "Keras model"


def test_weights_of_keras_alone_are_no_model(make_file: MakeFile) -> None:
    error = fault(make_file("a.weights.h5", HDF5 + b"layer_names"))
    assert error.message.endswith("is a file of weights without the model")


def test_tensorflow_lite_is_known_by_its_content(data: Path, make_file: MakeFile) -> None:
    content = (data / "tflite" / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()
    found = recognise(make_file("a.bin", content))
    assert (found.runtime, found.trust, found.label) == ("tflite", "data", "TensorFlow Lite model")


def test_functions_of_jax_are_known_by_the_program_in_them(make_file: MakeFile) -> None:
    assert recognise(make_file("a.bin", JAX_EXPORT)).label == "JAX function (jax.export)"
    far = JAX_EXPORT[:128] + bytes(100_000) + JAX_EXPORT[128:]
    assert recognise(make_file("a.jax", far)).runtime == "jax"
    assert identify(make_file("b.bin", far)) is None


@pytest.mark.parametrize(
    "content",
    [
        b"ML\xefR\rStableHLO_v1.0.0",  # a program alone
        JAX_EXPORT[:128] + b"ML\xefR\rMLIR20",
        (60).to_bytes(4, "little") + JAX_EXPORT[4:],
        JAX_EXPORT[:16],
    ],
)
def test_other_bytes_are_no_function_of_jax(make_file: MakeFile, content: bytes) -> None:
    assert identify(make_file("a.jax", content)) is None


def test_an_unknown_file_is_described_with_what_is_accepted(make_file: MakeFile) -> None:
    error = fault(make_file("notes.txt", "hello\nworld"))
    assert error.code is Code.FORMAT_UNKNOWN
    assert error.message.endswith(
        "notes.txt is in no known format: 11 bytes, ending .txt, beginning with 68 65 6c 6c 6f 0a 77 6f (hello.wo)"
    )
    assert accepted_formats() in error.fix
    assert ".onnx" in error.fix
    assert "without an ending" in fault(make_file("README", "x")).message


def test_an_empty_file_says_so(make_file: MakeFile) -> None:
    assert fault(make_file("a.onnx")).message.endswith("a.onnx is empty")


def test_an_empty_folder_says_so_and_hidden_files_do_not_count(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("folder/.DS_Store", "x")
    make_file("folder/__pycache__/x.pyc", "x")
    assert fault(tmp_path / "folder").message.endswith("folder is empty")


def test_an_unknown_folder_is_described(make_file: MakeFile, tmp_path: Path) -> None:
    for number in range(10):
        make_file(f"folder/{number}.txt", "x")
    error = fault(tmp_path / "folder")
    assert error.message.endswith("it has 0.txt, 1.txt, 2.txt, 3.txt, 4.txt, 5.txt, 6.txt, 7.txt and 2 more")


def test_what_is_no_ordinary_file_is_refused(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "pipe.onnx")
    assert fault(tmp_path / "pipe.onnx").message.endswith("pipe.onnx is not an ordinary file")


def test_what_cannot_be_read_is_told(make_file: MakeFile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    path = make_file("a.onnx", "x")

    def refuse(*_args: object, **_keywords: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert fault(path).message.endswith("a.onnx cannot be read: Permission denied")
    monkeypatch.setattr(Path, "iterdir", refuse)
    assert fault(tmp_path).message.endswith("cannot be read: Permission denied")
