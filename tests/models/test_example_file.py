"""An example in a file of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models import examplefile
from salver.models.manifest import ExampleSection
from salver.models.manifestfile import read_manifest

MakeFile = Callable[..., Path]
EXAMPLE = {"inputs": {"x": [[1.0, 2.0]]}, "expect": {"y": [3.0]}}


@pytest.fixture
def read(make_file: MakeFile) -> Callable[..., ExampleSection | None]:
    def run(document: Any, toml: str = '[example]\nfile = "e.json"\n') -> ExampleSection | None:
        make_file("e.json", document if isinstance(document, (str, bytes)) else json.dumps(document))
        return read_manifest(make_file("model.toml", toml)).manifest.example

    return run


def fault(read: Callable[..., Any], *arguments: Any) -> LoadError:
    with pytest.raises(LoadError) as caught:
        read(*arguments)
    assert caught.value.code is Code.MANIFEST_INVALID
    return caught.value


def test_its_keys_are_those_of_the_section(read: Callable[..., Any]) -> None:
    section = read({**EXAMPLE, "tolerance": 0.5})
    assert section == ExampleSection(inputs={"x": [[1.0, 2.0]]}, expect={"y": [3.0]}, tolerance=0.5)
    assert section.for_worker() == {**EXAMPLE, "tolerance": 0.5}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ("{", "it is not valid JSON"),
        ({"inputs": {}}, "`example.inputs` names no input"),
        ({**EXAMPLE, "expekt": 1}, "`example` has no key `expekt`; did you mean `expect`?"),
        ({**EXAMPLE, "tolerance": "x"}, "`example.tolerance`: expected a number, got text"),
        ({**EXAMPLE, "file": "f.json"}, "an example's file names no further one"),
        ({"inputs": {"x": {"file": "../secret"}}}, "must name a file of the model's folder"),
    ],
)
def test_what_is_wrong_in_it_is_told_with_its_name(read: Callable[..., Any], document: Any, reason: str) -> None:
    error = fault(read, document)
    assert "e.json cannot be used: " in error.message
    assert reason in error.message


@pytest.mark.parametrize(
    ("toml", "reason"),
    [
        ('[example]\nfile = "../e.json"\n', "`example.file` must name a file of the model's folder"),
        ('[example]\nfile = "e.json"\ntolerance = 1\n', "other keys stand beside it"),
        ('[example]\nfile = "other.json"\n', "other.json cannot be used: No such file"),
        ("[example]\n", "`example.inputs` names no input"),
    ],
)
def test_the_file_lies_in_the_folder_and_has_the_whole_example(
    read: Callable[..., Any], toml: str, reason: str
) -> None:
    assert reason in fault(read, EXAMPLE, toml).message


def test_a_link_that_leaves_the_folder_is_not_followed(make_file: MakeFile, tmp_path: Path) -> None:
    make_file("elsewhere.json", json.dumps(EXAMPLE))
    manifest = make_file("m/model.toml", '[example]\nfile = "e.json"\n')
    (tmp_path / "m" / "e.json").symlink_to("../elsewhere.json")
    assert "lies outside the model's folder" in fault(read_manifest, manifest).message


def test_it_has_a_bound(read: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examplefile, "MAX_BYTES", 10)
    assert "larger than 10 bytes" in fault(read, EXAMPLE).message
