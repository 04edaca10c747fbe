import io
from pathlib import Path

import pytest

from salver.cli.failure import CommandFailed
from salver.cli.predict import read_input


@pytest.mark.parametrize(
    ("given", "values"),
    [
        ("[[1, 2]]", [[1, 2]]),
        ("3.5", 3.5),
        ("-1", -1),
        ('"text"', "text"),
        ('{"x": [1]}', {"x": [1]}),
        ('{"inputs": {"x": [1]}}', {"x": [1]}),
        ('{"instances": [[1]]}', [[1]]),
        ('{"inputs": [1], "other": 2}', {"inputs": [1], "other": 2}),
    ],
)
def test_json_is_read_with_or_without_the_wrapping_of_the_protocols(given, values):
    assert read_input(given) == values


def test_a_file_of_json_is_read_and_any_other_file_is_sent_as_it_is(tmp_path):
    (tmp_path / "x.json").write_text("[1]")
    (tmp_path / "x.png").write_bytes(b"\x89PNG")
    assert read_input(str(tmp_path / "x.json")) == [1]
    assert read_input(str(tmp_path / "x.png")) == tmp_path / "x.png"


@pytest.mark.parametrize(
    ("piped", "values"), [(b" [1, 2]\n", [1, 2]), (b"\x89PNG\r\n", b"\x89PNG\r\n"), (b"this is text", b"this is text")]
)
def test_standard_input_is_json_or_bytes(monkeypatch, piped, values):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(piped)))
    assert read_input("-") == values


@pytest.mark.parametrize("given", ["missing.png", "hello there", "[1, 2", "{'x': 1}"])
def test_what_is_neither_a_file_nor_json_is_told(given):
    with pytest.raises(CommandFailed, match=r"not valid JSON|There is no file"):
        read_input(given)


def test_json_longer_than_a_file_name_is_still_json():
    assert read_input(str([0] * 5000)) == [0] * 5000


def test_the_input_is_checked_before_a_server_is_looked_for(run):
    assert "There is no file" in run("predict", "m", "--input", "missing.png").err
    assert Path("missing.png").exists() is False
