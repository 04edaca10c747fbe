"""Formats that are known by sight and not served yet."""

from __future__ import annotations

import pytest

from salver.models.unserved import FILES, FOLDERS, ZIPS, Unserved, unserved_file, unserved_members
from salver_worker.runtimes.specs import SPECS


@pytest.mark.parametrize(
    ("name", "head", "label"),
    [
        ("m.h5", b"\x89HDF\r\n\x1a\n", "a file of weights without the model"),
        ("frozen.pb", b"\x0a\x01", "a TensorFlow graph without signatures"),
        ("export.meta", b"\x0a\x01", "a checkpoint of TensorFlow, which has no signatures"),
        ("m.gguf", b"GGUF\x03", "a GGUF language model"),
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
    row = Unserved(runtime="", label="", advice="", starts=((8, b"{"),), endings=(".rows",))
    assert row.fits_file("m.rows", b"12345678{")
    assert not row.fits_file("m.json", b"12345678{")
    assert not row.fits_file("m.rows", b"text")


@pytest.mark.parametrize("name", ["labels.txt", "config.json", "kitten.jpg", "README"])
def test_other_files_are_unknown(name: str) -> None:
    assert unserved_file(name, b"something") is None


@pytest.mark.parametrize(
    ("members", "label"),
    [
        (["model.ini", "domains/0.txt"], "an H2O model"),
    ],
)
def test_a_zip_is_named_by_what_is_in_it(members: list[str], label: str) -> None:
    found = unserved_members(ZIPS, members)
    assert found is not None
    assert found.label.startswith(label)


def test_a_folder_is_named_by_what_is_in_it() -> None:
    assert unserved_members(FOLDERS, ["checkpoint", "export", "export.meta"]) is not None
    assert unserved_members(FOLDERS, ["model.onnx"]) is None


def test_what_is_no_model_says_so_and_a_model_waits_for_its_runtime() -> None:
    page = unserved_file("m.onnx", b"<html>")
    engine = unserved_file("m.plan", b"")
    assert page is not None
    assert engine is not None
    assert page.problem == "is a web page, not a model"
    assert engine.problem == "is a TensorRT engine: its runtime is not part of this release"


@pytest.mark.parametrize("row", [*FILES, *ZIPS, *FOLDERS], ids=lambda row: row.label)
def test_a_row_can_fit_something_says_what_to_do_and_goes_when_its_runtime_comes(row: Unserved) -> None:
    assert row.starts or row.endings or row.members
    assert row.advice.endswith(".")
    assert row.runtime not in {spec.name for spec in SPECS}
