"""Formats that are known by sight and not served yet."""

from __future__ import annotations

import pytest

from salver.models.unserved import FILES, FOLDERS, ZIPS, Unserved, unserved_file, unserved_members
from salver_worker.runtimes.specs import SPECS


@pytest.mark.parametrize(
    ("name", "head", "label"),
    [
        ("model.pt", b"anything", "a PyTorch file"),
        ("weights.PTH", b"anything", "a PyTorch file"),
        ("m.bin", b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02", "a PyTorch file"),
        ("m.h5", b"\x89HDF\r\n\x1a\n", "a Keras model"),
        ("saved_model.pb", b"\x08\x01", "a TensorFlow SavedModel"),
        ("frozen.pb", b"\x0a\x01", "a TensorFlow graph"),
        ("m.tflite", b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite model"),
        ("m.gguf", b"GGUF\x03", "a GGUF language model"),
        ("m.safetensors", b"\x10\0\0\0\0\0\0\0{}", "a safetensors file: weights without the model"),
        ("m.rds", b"\x1f\x8b", "an R object"),
        ("m-symbol.json", b'{"nodes"', "an MXNet model"),
        (
            "m.onnx",
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, not the file that it points to",
        ),
        ("m.onnx", b"<!DOCTYPE html><html>", "a web page, not a model"),
        ("m.tar", b"\0" * 257 + b"ustar", "a tar archive"),
    ],
)
def test_a_file_is_named_by_its_start_or_its_ending(name: str, head: bytes, label: str) -> None:
    found = unserved_file(name, head)
    assert found is not None
    assert found.label == label


def test_a_row_with_start_and_ending_needs_both() -> None:
    assert unserved_file("m.json", b"12345678{") is None
    assert unserved_file("m.safetensors", b"text") is None


@pytest.mark.parametrize("name", ["labels.txt", "config.json", "kitten.jpg", "README"])
def test_other_files_are_unknown(name: str) -> None:
    assert unserved_file(name, b"something") is None


@pytest.mark.parametrize(
    ("members", "label"),
    [
        (["net/data.pkl", "net/constants.pkl", "net/code/net.py"], "a TorchScript model"),
        (["archive/data.pkl", "archive/data/0"], "a PyTorch file"),
        (["metadata.json", "config.json", "model.weights.h5"], "a Keras model"),
        (["model.ini", "domains/0.txt"], "an H2O model"),
    ],
)
def test_a_zip_is_named_by_what_is_in_it(members: list[str], label: str) -> None:
    found = unserved_members(ZIPS, members)
    assert found is not None
    assert found.label.startswith(label)


def test_a_folder_is_named_by_what_is_in_it() -> None:
    assert unserved_members(FOLDERS, ["saved_model.pb", "variables"]) is not None
    assert unserved_members(FOLDERS, ["model.onnx"]) is None


def test_what_is_no_model_says_so_and_a_model_waits_for_its_runtime() -> None:
    page = unserved_file("m.onnx", b"<html>")
    torch = unserved_file("m.pt", b"")
    assert page is not None
    assert torch is not None
    assert page.problem == "is a web page, not a model"
    assert torch.problem == "is a PyTorch file: its runtime is not part of this release"


@pytest.mark.parametrize("row", [*FILES, *ZIPS, *FOLDERS], ids=lambda row: row.label)
def test_a_row_can_fit_something_says_what_to_do_and_goes_when_its_runtime_comes(row: Unserved) -> None:
    assert row.starts or row.endings or row.members
    assert row.advice.endswith(".")
    assert row.runtime not in {spec.name for spec in SPECS}
