import json
import shlex
import shutil
import subprocess
from pathlib import PurePath

import pytest

from salver.cli.curl import CurlCommand, curl_commands
from salver.events import Address
from salver.types import (
    BatchSettings,
    ModelVersion,
    PayloadKind,
    Signature,
    TensorSpec,
    VersionInfo,
)

ADDRESSES = (
    Address(url="http://127.0.0.1:8080", wires=("tfserving", "mms", "openinference", "native")),
    Address(url="http://127.0.0.1:8501", wires=("tfserving",)),
)
FOLDER = PurePath("some folder")
SCALARS = (TensorSpec(name="x", datatype="FP32", shape=(-1, 2)),)
IMAGE = (TensorSpec(name="image", datatype="BYTES", shape=(-1,)),)


def version(
    inputs: tuple[TensorSpec, ...] = (),
    *,
    name: str = "m",
    payload=PayloadKind.TENSORS,
    example=None,
    signature="serving_default",
) -> VersionInfo:
    outputs = (TensorSpec(name="y", datatype="FP32", shape=(-1,)),)
    return VersionInfo(
        id=ModelVersion(name, 1),
        runtime="onnx",
        payload=payload,
        signatures={signature: Signature(inputs=inputs, outputs=outputs)} if inputs else {},
        batching=BatchSettings(),
        has_batch_dimension=True,
        is_idempotent=True,
        example=example,
    )


def commands(info: VersionInfo, **options) -> dict[str, str]:
    return {command.wire: command.text for command in curl_commands(info, ADDRESSES, FOLDER, **options)}


def test_numbers_stand_in_the_command_as_each_protocol_writes_them():
    made = {wire: shlex.split(text) for wire, text in commands(version(SCALARS)).items()}
    json_header = ["-H", "Content-Type: application/json", "--data"]
    assert made == {
        "native": [
            "curl",
            "http://127.0.0.1:8080/api/v1/models/m/predict",
            *json_header,
            '{"inputs": {"x": [[0.0, 0.0]]}}',
        ],
        "tfserving": ["curl", "http://127.0.0.1:8080/v1/models/m:predict", *json_header, '{"instances": [[0.0, 0.0]]}'],
        "mms": ["curl", "http://127.0.0.1:8080/predictions/m", *json_header, '{"inputs": {"x": [[0.0, 0.0]]}}'],
        "openinference": [
            "curl",
            "http://127.0.0.1:8080/v2/models/m/infer",
            *json_header,
            '{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [[0.0, 0.0]]}]}',
        ],
    }


def test_several_inputs_become_objects_of_rows():
    inputs = (*SCALARS, TensorSpec(name="flag", datatype="BOOL", shape=(-1,)))
    assert (
        shlex.split(commands(version(inputs))["tfserving"])[-1] == '{"instances": [{"x": [0.0, 0.0], "flag": false}]}'
    )


def test_an_input_without_rows_goes_by_name():
    inputs = (TensorSpec(name="x", datatype="INT64", shape=()),)
    assert shlex.split(commands(version(inputs))["tfserving"])[-1] == '{"inputs": {"x": 0}}'


def test_the_models_own_example_is_preferred():
    info = version(SCALARS, example={"inputs": {"x": [[5.0, 6.0]]}})
    assert shlex.split(commands(info)["tfserving"])[-1] == '{"instances": [[5.0, 6.0]]}'


def test_an_example_that_is_not_a_list_goes_by_name():
    info = version(SCALARS, example={"inputs": {"x": 5.0}})
    assert shlex.split(commands(info)["tfserving"])[-1] == '{"inputs": {"x": 5.0}}'


def test_the_examples_file_is_sent_from_where_it_lies():
    info = version(IMAGE, example={"inputs": {"image": {"file": "kitten 1.jpg"}}})
    made = commands(info)
    assert shlex.split(made["mms"])[-4:] == ["-X", "POST", "-T", "some folder/kitten 1.jpg"]
    assert shlex.split(made["native"])[2:] == [
        "-H",
        "Content-Type: image/jpeg",
        "--data-binary",
        "@some folder/kitten 1.jpg",
    ]
    assert "base64 < 'some folder/kitten 1.jpg'" in made["tfserving"]


@pytest.mark.parametrize("name", ["image", "input_image", "data", "body"])
def test_bytes_that_look_like_a_picture_are_a_file(name):
    info = version((TensorSpec(name=name, datatype="BYTES", shape=(-1,)),))
    assert commands(info)["mms"].endswith("-X POST -T image.jpg")


def test_other_bytes_are_text():
    info = version((TensorSpec(name="sentence", datatype="BYTES", shape=(-1,)),))
    assert shlex.split(commands(info)["tfserving"])[-1] == '{"instances": ["text"]}'


def test_a_model_that_takes_bodies_is_not_offered_over_tensorflow_serving():
    made = commands(version(payload=PayloadKind.BODY))
    assert list(made) == ["native", "mms", "openinference"]
    assert made["mms"].endswith("-T request.bin")
    assert made["openinference"].endswith("'Inference-Header-Content-Length: 0' --data-binary @request.bin")


def test_what_the_open_inference_protocol_does_not_write_as_json_is_not_offered():
    assert "openinference" not in commands(version((TensorSpec(name="x", datatype="FP16", shape=(-1,)),)))
    assert "openinference" not in commands(version(SCALARS, signature="other"))
    assert "openinference" not in commands(version(payload=PayloadKind.BODY, example={"inputs": {}}))


def test_tensors_of_the_open_inference_protocol_have_shapes():
    inputs = (*SCALARS, TensorSpec(name="n", datatype="INT64", shape=()))
    given = {"inputs": {"x": [1.5, 2.5], "n": 7}}
    (x, n) = json.loads(shlex.split(commands(version(inputs, example=given))["openinference"])[-1])["inputs"]
    assert x == {"name": "x", "datatype": "FP32", "shape": [1, 2], "data": [1.5, 2.5]}
    assert n == {"name": "n", "datatype": "INT64", "shape": [], "data": [7]}


def test_bytes_that_are_no_text_are_base64_in_the_open_inference_protocol():
    inputs = (TensorSpec(name="word", datatype="BYTES", shape=(-1, 2)),)
    given = {"inputs": {"word": [["a", {"b64": "/w=="}]]}}
    (word,) = json.loads(shlex.split(commands(version(inputs, example=given))["openinference"])[-1])["inputs"]
    assert (word["shape"], word["parameters"], word["data"]) == ([1, 2], {"content_type": "base64"}, [["YQ==", "/w=="]])


def test_a_key_is_named_where_one_is_needed():
    made = commands(version(SCALARS), needs_key=True)
    assert all(text.endswith(' -H "Authorization: Bearer $SALVER_KEY"') for text in made.values())


def test_wires_without_an_address_have_no_command():
    only_native = (Address(url="http://h:1", wires=("native",)),)
    (command,) = curl_commands(version(SCALARS), only_native, FOLDER)
    assert isinstance(command, CurlCommand)
    assert command.wire == "native"


def test_a_models_name_is_quoted_in_the_address():
    assert "/predictions/caf%C3%A9%20noir" in commands(version(SCALARS, name="café noir"))["mms"]


def test_another_signature_is_used_when_there_is_no_default_one():
    assert '"x"' in commands(version(SCALARS, signature="other"))["native"]


# What a real shell makes of them. `curl` is replaced by a function that prints the body it would send.

SHELL_CURL = """
curl() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --data) shift; if [ "$1" = @- ]; then cat; else printf %s "$1"; fi ;;
      -T) shift; cat "$1" ;;
      --data-binary) shift; cat "${1#@}" ;;
    esac
    shift
  done
}
"""


def sent(command: str, folder) -> bytes:
    """What the pasted command sends."""
    bash = shutil.which("bash")
    assert bash is not None
    return subprocess.run([bash, "-c", SHELL_CURL + command], cwd=folder, capture_output=True, check=True).stdout


def test_big_tensors_are_made_by_the_command_itself(tmp_path):
    inputs = (TensorSpec(name="data", datatype="FP32", shape=(-1, 3, 8, 8)),)
    made = commands(version(inputs))
    (row,) = json.loads(sent(made["tfserving"], tmp_path))["instances"]
    assert (len(row), len(row[0]), len(row[0][0])) == (3, 8, 8)
    assert len(json.loads(sent(made["native"], tmp_path))["inputs"]["data"]) == 1


def test_several_big_tensors_are_made_by_name(tmp_path):
    inputs = (
        TensorSpec(name="data", datatype="FP32", shape=(-1, 100)),
        TensorSpec(name="is it", datatype="BOOL", shape=(-1, 2)),
        TensorSpec(name="words", datatype="BYTES", shape=(-1,)),
    )
    (row,) = json.loads(sent(commands(version(inputs))["tfserving"], tmp_path))["instances"]
    assert (len(row["data"]), row["is it"], row["words"]) == (100, [False, False], "text")
    tensors = json.loads(sent(commands(version(inputs))["openinference"], tmp_path))["inputs"]
    assert [tensor["shape"] for tensor in tensors] == [[1, 100], [1, 2], [1]]
    assert [len(tensor["data"][0][0]) for tensor in tensors[:2]] == [100, 2]


def test_a_picture_is_sent_whole_over_every_protocol(tmp_path):
    picture = bytes(range(256)) * 2000
    (tmp_path / "image.jpg").write_bytes(picture)
    made = commands(version(IMAGE))
    assert sent(made["mms"], tmp_path) == picture
    assert sent(made["native"], tmp_path) == picture
    import base64

    assert base64.b64decode(json.loads(sent(made["tfserving"], tmp_path))["instances"][0]["b64"]) == picture
