"""The example that the command is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salver.errors import SalverError
from salver.models.manifest import ExampleSection
from salver.packaging import examples
from salver.packaging.examples import place_files, read_example


def fault(*arguments: object) -> str:
    with pytest.raises(SalverError) as caught:
        read_example(*arguments)  # type: ignore[arg-type]
    assert caught.value.fix
    return caught.value.message


def test_inputs_by_name_and_the_whole_section_are_taken() -> None:
    assert read_example('{"x": [1]}').section == ExampleSection(inputs={"x": [1]})
    whole = read_example('{"inputs": {"x": [1]}, "expect": {"y": [2]}, "tolerance": 1}').section
    assert whole == ExampleSection(inputs={"x": [1]}, expect={"y": [2]}, tolerance=1)


def test_a_value_without_a_name_is_the_only_input_s() -> None:
    given = read_example("[[1, 2]]")
    assert given.section is None
    assert given.named(("x",)) == ExampleSection(inputs={"x": [[1, 2]]})
    with pytest.raises(SalverError, match="names no input, and the model has a, b"):
        given.named(("a", "b"))
    with pytest.raises(SalverError, match="the model has none that it tells"):
        given.named(())


def test_files_are_read_and_files_that_are_no_json_are_an_input(tmp_path: Path) -> None:
    (tmp_path / "e.json").write_text(json.dumps({"x": [1]}))
    (tmp_path / "cat.jpg").write_bytes(b"\xff\xd8\xff")
    assert read_example(str(tmp_path / "e.json")).section == ExampleSection(inputs={"x": [1]})
    picture = read_example(str(tmp_path / "cat.jpg"))
    assert (picture.bare, picture.folder) == ({"file": "cat.jpg"}, tmp_path)
    assert read_example('{"file": "cat.jpg"}').bare == {"file": "cat.jpg"}


def test_what_cannot_be_read_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault("{").startswith("The example in --example is not valid JSON")
    assert fault(str(tmp_path / "none.json")).startswith("There is no file")
    (tmp_path / "e.json").write_text('{"inputs": {}}')
    assert "names no input" in fault(str(tmp_path / "e.json"))
    monkeypatch.setattr(examples, "MAX_BYTES", 3)
    assert "larger than 3 bytes" in fault(str(tmp_path / "e.json"))


def test_files_of_an_example_go_along(tmp_path: Path) -> None:
    folder = tmp_path / "package"
    folder.mkdir()
    (folder / "own.txt").write_text("own")
    (tmp_path / "cat.jpg").write_bytes(b"cat")
    example = ExampleSection(inputs={"a": [{"file": "cat.jpg"}], "b": {"file": "own.txt"}, "c": {"k": 1}})
    placed = place_files(example, tmp_path, folder)
    assert placed.inputs == {"a": [{"file": "example/cat.jpg"}], "b": {"file": "own.txt"}, "c": {"k": 1}}
    assert (folder / "example" / "cat.jpg").read_bytes() == b"cat"
    with pytest.raises(SalverError, match=r"none\.jpg is not there"):
        place_files(ExampleSection(inputs={"a": {"file": "none.jpg"}}), tmp_path, folder)
