"""What model.toml says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.manifest import BatchingSection, Manifest
from salver.models.manifestfile import MAX_BYTES, describe_worker_error, parse_manifest, read_manifest
from salver.types import BatchSettings

SQUEEZENET = """\
name = "squeezenet"
runtime = "onnx"
description = "What is on the photo."
artifact = "squeezenet_v1.1.onnx"
replicas = 2
deadline_s = 30
idempotent = true

[environment]
python = "/usr/bin/python3.11"
threads = 4
variables = { OMP_WAIT_POLICY = "PASSIVE" }

[batching]
max_batch_rows = 16
max_batch_delay_ms = 2.5
latency_objective_ms = 50
max_queue_rows = 100

[[inputs]]
name = "image"
feeds = "data"
convert = [
  "decode_image",
  { resize = { size = [227, 227], mode = "bilinear" } },
  { colour_order = "BGR" },
]

[[outputs]]
reads = "prob"
convert = ["softmax", { top_k = { k = 5, labels = "synset.txt" } }]

[example]
inputs = { image = { file = "images/kitten.jpg" }, other = [[1.0, nan]] }
expect = { classes = [["tiger cat", "Egyptian cat"]] }
"""


def test_every_key_has_its_place() -> None:
    manifest = parse_manifest(SQUEEZENET, "model.toml")
    assert (manifest.name, manifest.runtime, manifest.replicas, manifest.deadline_s) == ("squeezenet", "onnx", 2, 30.0)
    assert manifest.environment.python == "/usr/bin/python3.11"
    assert manifest.environment.variables == {"OMP_WAIT_POLICY": "PASSIVE"}
    assert manifest.inputs[0].feeds == "data"
    assert manifest.outputs[0].name is None
    assert manifest.example is not None
    assert manifest.example.tolerance == 0.01


def test_an_empty_file_is_the_manifest_of_a_model_without_one() -> None:
    assert parse_manifest("", "model.toml") == Manifest()


def test_the_worker_gets_plain_values_with_every_key() -> None:
    parts = parse_manifest(SQUEEZENET, "model.toml").for_worker()
    assert json.loads(json.dumps(parts | {"example": None})) == parts | {"example": None}
    assert parts["inputs"] == [
        {
            "name": "image",
            "feeds": "data",
            "convert": [
                "decode_image",
                {"resize": {"size": [227, 227], "mode": "bilinear"}},
                {"colour_order": "BGR"},
            ],
        }
    ]
    assert parts["outputs"][0] == {
        "reads": "prob",
        "name": None,
        "convert": ["softmax", {"top_k": {"k": 5, "labels": "synset.txt"}}],
    }
    assert parts["example"]["inputs"]["image"] == {"file": "images/kitten.jpg"}
    assert parts["example"]["expect"] == {"classes": [["tiger cat", "Egyptian cat"]]}
    assert parts["handler"] is None


def test_the_worker_of_a_model_without_a_manifest_gets_nothing_to_do() -> None:
    assert Manifest().for_worker() == {"inputs": [], "outputs": [], "example": None, "handler": None, "runtime": {}}


def test_a_runtime_is_a_name_or_a_table_with_what_it_is_told() -> None:
    assert parse_manifest("runtime = 'onnx'", "model.toml").runtime_name == "onnx"
    told = parse_manifest("[runtime]\nname = 'torch'\ndevice = 'cpu'\narguments = { size = 4 }", "model.toml")
    assert (told.runtime_name, told.runtime_options) == ("torch", {"device": "cpu", "arguments": {"size": 4}})
    assert told.for_worker()["runtime"] == told.runtime_options
    assert parse_manifest("[runtime]\ndevice = 'cpu'", "model.toml").runtime_name is None


def test_batching_goes_over_the_servers_settings_where_it_is_set() -> None:
    defaults = BatchSettings(max_batch_rows=64, max_batch_delay_s=0.001, max_queue_rows=4096)
    assert BatchingSection().over(defaults) == defaults
    assert parse_manifest(SQUEEZENET, "model.toml").batching.over(defaults) == BatchSettings(
        max_batch_rows=16, max_batch_delay_s=0.0025, latency_objective_s=0.05, max_queue_rows=100
    )
    assert BatchingSection(max_batch_delay_ms=0).over(defaults).max_batch_delay_s == 0.0


def test_a_file_is_read_with_its_text_and_its_place(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"\xef\xbb\xbf" + SQUEEZENET.encode())
    file = read_manifest(path)
    assert (file.path, file.text) == (str(path), SQUEEZENET)
    assert file.manifest.name == "squeezenet"


def test_a_worker_error_is_shown_at_its_line() -> None:
    where: list[str | int] = ["inputs", 0, "convert", 1, "resize", "size"]
    assert describe_worker_error(where, SQUEEZENET) == "line 25, `inputs[0].convert[1].resize.size`"


def test_a_worker_error_about_the_whole_file_is_shown_at_its_top() -> None:
    assert describe_worker_error([], SQUEEZENET) == "line 1, the file"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("a = ", 1, "this is not valid TOML: invalid value"),
        ("\nname = 'a'\nname = 'b'\n\n", 3, "this is not valid TOML: this key already has a value"),
        ("name = 'a'\n[batching\nx = 1", 2, "this is not valid TOML: expected ']' at the end of a table declaration"),
        ("replicas = " + "9" * 5000, 1, "this is not valid TOML: exceeds the limit"),
        ("replicas = 'two'", 1, "`replicas`: expected a whole number, got text"),
        ("replicas = 0", 1, "`replicas`: expected a whole number >= 1"),
        ("replicas = 1.0", 1, "`replicas`: expected a whole number, got a number"),
        ("\n\ndeadline_s = 0", 3, "`deadline_s`: expected a number > 0"),
        ("deadline_s = inf", 1, "`deadline_s` must be a finite number"),
        ("idempotent = 'yes'", 1, "`idempotent`: expected true or false, got text"),
        ("batching = 3", 1, "`batching`: expected a table, got a whole number"),
        ("inputs = { name = 'x' }", 1, "`inputs`: expected an array, got a table"),
        ("[[inputs]]\nname = 'a'\n[[inputs]]\nfeeds = 'b'", 3, "`inputs[1]` lacks the key `name`"),
        ("[[inputs]]\nname='a'\nconvert = [\n'x',\n3]", 5, "expected text or a table, got a whole number"),
        ("[[inputs]]\nname='a'\nconvert = [\n'x',\n{ a = 1, b = 2 }]", 5, "a table with one key, this one has a, b"),
        (
            "[[outputs]]\nconvert = [{}]",
            2,
            "`outputs[0].convert[0]`: a step is a table with one key, this one has none",
        ),
        ("[[inputs]]\nname='a'\n[[inputs]]\nname='a'", 4, "two of the inputs are named `a`"),
        ("[environment]\npython = 'venv/bin/python'", 2, "must be a version, an interpreter's absolute path, or the"),
        ("[environment]\n[environment.variables]\nA = '1'\nB = 2", 4, "`environment.variables.B`: expected text"),
        ("environment = 3", 1, "`environment`: expected a table"),
        ("[environment]\nvariables = 3", 2, "`environment.variables`: expected a table"),
        ("[environment]\nvariables = {'A-B' = '1'}", 2, "`environment.variables.A-B`: a variable's name is letters"),
        ('[environment]\nvariables = {A = "\\u0000"}', 2, "a variable's value cannot hold a zero byte"),
        ("[batching]\nlatency_objective_ms = inf", 2, "`batching.latency_objective_ms` must be a finite number"),
        ("artifact = '../x.onnx'", 1, "`artifact` must name a file of the model's folder"),
        ("artifact = ''", 1, "`artifact` must name a file of the model's folder"),
        ("handler = '/tmp/x.py:predict'", 1, "`handler` must name a file of the model's folder"),
        ("handler = 'a\\b.py'", 1, "`handler` must name a file of the model's folder"),
        ("[example]\ninputs = {}", 2, "`example.inputs` names no input"),
        ("[example]\ninputs = { x = {file = '../a'} }", 2, "`example.inputs.x.file` must name a file of the model's"),
        ("[example]\ninputs = { x = {path = 'a'} }", 2, "`example.inputs.x` must be values, or a file as"),
        ("[example]\ninputs = { x = 1 }\ntolerance = nan", 3, "`example.tolerance`"),
        ("[example]\ninputs = { x = 1979-05-27 }", 2, "`example.inputs.x` is a date or a time; write it as text"),
        ("[[inputs]]\nname='a'\nconvert = [\n{ a = 07:32:00 }]", 4, "is a date or a time"),
        ("a = " + "[" * 40 + "]" * 40, 1, "values are nested deeper than 32 levels"),
        ("a = " + "[" * 5000 + "]" * 5000, None, "values are nested too deep"),
        ("name = 'my model'", 1, "`name`: a model's name is 1 to 128 letters"),
        ("runtime = 'onxx'", 1, "`runtime`: there is no runtime `onxx`; did you mean `onnx`?"),
        ("runtime = 'zzz'", 1, "`runtime`: there is no runtime `zzz`"),
    ],
)
def test_a_fault_is_told_with_file_line_key_and_what_was_expected(text: str, line: int | None, problem: str) -> None:
    with pytest.raises(LoadError) as caught:
        parse_manifest(text, "some/model.toml")
    assert caught.value.code is Code.MANIFEST_INVALID
    assert caught.value.message.startswith("some/model.toml" if line is None else f"some/model.toml, line {line}: ")
    assert problem in caught.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dedline_s = 3", "the file has no key `dedline_s`; did you mean `deadline_s`?"),
        ("[batching]\nmax_batch_row = 3", "`batching` has no key `max_batch_row`; did you mean `max_batch_rows`?"),
        ("[[inputs]]\nname = 'x'\nfeed = 'y'", "`inputs[0]` has no key `feed`; did you mean `feeds`?"),
        ("[[outputs]]\nread = 'y'", "`outputs[0]` has no key `read`; did you mean `reads`?"),
        ("[example]\ninputs = {x = 1}\nexpected = {}", "`example` has no key `expected`; did you mean `expect`?"),
        ("[environment]\nthread = 1", "`environment` has no key `thread`; did you mean `threads`?"),
        ("zebra = 1", "the file has no key `zebra`"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(text: str, message: str) -> None:
    with pytest.raises(LoadError) as caught:
        parse_manifest(text, "model.toml")
    line = text.count("\n") + 1
    assert caught.value.message == f"model.toml, line {line}: {message}"
    assert caught.value.fix.startswith("Its keys are ")


def test_a_key_that_is_found_wrong_later_is_told_the_same_way(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_text(SQUEEZENET)
    error = read_manifest(path).error(("artifact",), "`artifact`: there is no such file", "Copy it.")
    assert str(error) == f"{path}, line 4: `artifact`: there is no such file [MANIFEST_INVALID] Copy it."


def test_a_command_may_be_the_interpreter() -> None:
    assert parse_manifest("[environment]\npython = 'python3.9'", "model.toml").environment.python == "python3.9"
    assert parse_manifest("[environment]\npython = '~/venv/bin/python'", "model.toml").environment.python is not None


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"model\.toml cannot be read: No such file") as caught:
        read_manifest(tmp_path / "model.toml")
    assert caught.value.code is Code.MANIFEST_INVALID


def test_a_file_that_is_not_text_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"name = 'a'\n# caf\xe9\n")
    with pytest.raises(LoadError, match="line 2: this is not UTF-8 text"):
        read_manifest(path)


def test_a_file_that_is_far_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "model.toml"
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(LoadError, match=f"is larger than {MAX_BYTES} bytes"):
        read_manifest(path)
