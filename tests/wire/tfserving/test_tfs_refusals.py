"""Every text of the original to a predict body that it refuses, and ours to what only we refuse."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from salver.types import Signature, TensorSpec, VersionInfo

ONE = [("x", "FP32", (-1, -1))]
TWO = [("b", "INT64", (-1,)), ("a", "FP32", (-1, -1))]
ELEMENT = "Failed to process element: {} of 'instances' list. Error: INVALID_ARGUMENT: "
KEY = "Failed to process element: {} key: {} of 'instances' list. Error: INVALID_ARGUMENT: "
REQUIRED = "input tensors required as per tensorinfo_map"
LARGE = orjson.dumps(1e39).decode()
TYPE = "JSON Value: {} Type: {} is not of expected type: {}"

Refuse = Callable[..., tuple[int, str]]
Build = Callable[..., VersionInfo]

DOCUMENTS: list[tuple[bytes, str]] = [
    (b"", "JSON Parse error: The document is empty"),
    (b"  \n", "JSON Parse error: The document is empty"),
    (b"x", "JSON Parse error: Invalid value. at offset: 0"),
    (b'{"instances": [1,]}', "JSON Parse error: Invalid value. at offset: 16"),
    (b'{"\xc3\xa9": nope}', "JSON Parse error: Invalid value. at offset: 7"),
    (
        b'{"instances": [NaN]}',
        "JSON Parse error: Invalid value. NaN and Infinity are not JSON and are not accepted at offset: 15",
    ),
    (
        b'{"instances": [-Infinity]}',
        "JSON Parse error: Invalid value. NaN and Infinity are not JSON and are not accepted at offset: 16",
    ),
    (b'{"instances": [1e400]}', "JSON Parse error: Number too big to be stored in double. at offset: 15"),
    (
        b'{"instances": [1]} x',
        "JSON Parse error: The document root must not be followed by other values. at offset: 19",
    ),
    (b'{"instances": ["\xff"]}', "JSON Parse error: Invalid encoding in string."),
    (b'{"x":' + b"[" * 64 + b"]" * 64 + b"}", "JSON Parse error: The document is nested deeper than 64 levels."),
    (b"[" * 2000, "JSON Parse error: The document is nested deeper than 64 levels. at offset: 1025"),
    (b"[1,2]", "JSON Value: [1,2] Is not object"),
    (b'"a"', 'JSON Value: "a" Is not object'),
    (
        b'{"signature_name": 3, "instances": []}',
        (
            'JSON Value: {"signature_name": 3, "instances": []} not formatted correctly. '
            "'signature_name' key must be a string value."
        ),
    ),
    (b'{"signature_name": "foo"}', 'Serving signature name: "foo" not found in signature def'),
    (b"{}", "Missing 'inputs' or 'instances' key"),
    (
        b'{"inputs": 1,\n  "instances": 1}',
        (
            'JSON Value: {"inputs": 1, "instances": 1} Not formatted correctly expecting only one of '
            "'inputs' or 'instances' keys to exist "
        ),
    ),
    (b'{"instances": 1}', "JSON Value: {\"instances\": 1} Expecting 'instances' to be an list/array"),
    (b'{"instances": null}', "JSON Value: {\"instances\": null} Expecting 'instances' to be an list/array"),
    (b'{"instances": []}', "JSON Value: {\"instances\": []} No values in 'instances' array"),
]


@pytest.mark.parametrize(("body", "text"), DOCUMENTS)
def test_a_document_of_the_wrong_form(refuse: Refuse, version_info: Build, body: bytes, text: str) -> None:
    assert refuse(version_info(ONE), body) == (400, text)


ONE_INPUT: list[tuple[str, Any, str]] = [
    ("instances", ["x"], ELEMENT.format(0) + TYPE.format('"x"', "String", "float")),
    ("instances", [[True]], ELEMENT.format(0) + TYPE.format("true", "True", "float")),
    ("instances", [[None]], ELEMENT.format(0) + TYPE.format("null", "Null", "float")),
    ("instances", [{"b64": "YQ=="}], ELEMENT.format(0) + TYPE.format('{"b64":"YQ=="}', "Object", "float")),
    ("instances", [[1], [1, 2]], ELEMENT.format(1) + "Expecting tensor size: 1 but got: 2"),
    ("instances", [[1, 2, 3], [1, 2]], ELEMENT.format(1) + "Expecting tensor size: 3 but got: 2"),
    ("instances", [[[1], [2]], [[1, 2]]], ELEMENT.format(1) + "Expecting shape [2,1] but got: [1,2]"),
    ("instances", [[], [[]]], ELEMENT.format(1) + "Expecting shape [0] but got: [1,0]"),
    (
        "instances",
        [[[1, 2], 1]],
        ELEMENT.format(0) + "JSON Value: 1 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
    ),
    ("instances", [[1, [2]]], ELEMENT.format(0) + "Encountered list at unexpected level: 1 expected < 1"),
    (
        "instances",
        [[[1, 2], [3]]],
        ELEMENT.format(0) + "Encountered list at unexpected size: 1 at level: 1 expected size: 2",
    ),
    (
        "instances",
        [[1e39]],
        ELEMENT.format(0) + f"Cannot convert JSON value: {LARGE} to float without loss of precision.",
    ),
    ("instances", [[1], {"x": [1]}], "Expecting value/list but got object at item 1 of input list"),
    ("instances", [{"x": [1]}, [1]], "Expecting object but got list at item 1 of input list"),
    ("instances", [{"x": [1]}, {"b64": "YQ=="}], "Expecting object but got list at item 1 of input list"),
    ("instances", [{"x": [1]}, {"x": [1, 2]}], KEY.format(1, "x") + "Expecting tensor size: 1 but got: 2"),
    ("instances", [{"foo": 1}], KEY.format(0, "foo") + "JSON object: does not have named input: foo"),
    (
        "instances",
        [{}],
        "Failed to process element: 0 of 'instances' list. JSON object: {} keys must be equal to: x",
    ),
    ("inputs", "x", TYPE.format('"x"', "String", "float")),
    ("inputs", [[1], [1, 2]], "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ("inputs", {"y": 1}, "Missing named input: x in 'inputs' object."),
    ("inputs", {"b64": "YQ=="}, TYPE.format('{"b64":"YQ=="}', "Object", "float")),
    ("inputs", [1, 2], "Input 'x' has the shape [2], the signature declares [-1,-1]."),
    ("inputs", 1, "Input 'x' has the shape [], the signature declares [-1,-1]."),
    ("inputs", [], "Input 'x' has the shape [0], the signature declares [-1,-1]."),
    ("instances", [[[1]]], "Input 'x' has the shape [1,1,1], the signature declares [-1,-1]."),
]


@pytest.mark.parametrize(("key", "value", "text"), ONE_INPUT)
def test_values_that_are_no_tensor_for_one_input(
    refuse: Refuse, version_info: Build, key: str, value: Any, text: str
) -> None:
    assert refuse(version_info(ONE), {key: value}) == (400, text)


TWO_INPUTS: list[tuple[str, Any, str]] = [
    (
        "instances",
        [1],
        f"instances is a plain list, but expecting list of objects as multiple {REQUIRED}",
    ),
    (
        "inputs",
        [1],
        f"inputs is a plain value/list, but expecting an object as multiple {REQUIRED}",
    ),
    ("inputs", {"b": [1]}, "Missing named input: a in 'inputs' object."),
    ("inputs", {"a": [[1]], "b": [1, 2]}, "All inputs must have the same number of rows, but got 'b': 2, 'a': 1."),
    (
        "instances",
        [{"a": [1], "b": 1}, {"a": [1]}],
        "Failed to process element: 1 of 'instances' list. JSON object: {\"a\":[1]} keys must be equal to: a,b",
    ),
    ("instances", [{"a": [1], "b": 1.0}], KEY.format(0, "b") + TYPE.format("1.0", "Number", "int64")),
    (
        "instances",
        [{"a": [1], "b": 1}, {"b": "x", "a": "y"}],
        KEY.format(1, "b") + TYPE.format('"x"', "String", "int64"),
    ),
    ("instances", [{"a": [1], "b": "x"}, {"a": [1]}], KEY.format(0, "b") + TYPE.format('"x"', "String", "int64")),
    (
        "instances",
        [{"a": [1], "b": 1}, {"a": [1], "c": 1}],
        KEY.format(1, "c") + "JSON object: does not have named input: c",
    ),
    ("instances", [{"a": [1], "b": 1}, 5, {"a": "x", "b": 1}], "Expecting object but got list at item 1 of input list"),
]


@pytest.mark.parametrize(("key", "value", "text"), TWO_INPUTS)
def test_values_that_are_no_tensors_for_two_inputs(
    refuse: Refuse, version_info: Build, key: str, value: Any, text: str
) -> None:
    assert refuse(version_info(TWO), {key: value}) == (400, text)


@pytest.mark.parametrize(
    ("datatype", "name", "value"),
    [
        ("INT32", "int32", "1.0"),
        ("INT32", "int32", "2147483648"),
        ("INT8", "int8", "128"),
        ("UINT8", "uint8", "-1"),
        ("INT64", "int64", "9223372036854775808"),
        ("UINT64", "uint64", "-1"),
        ("UINT32", "uint32", "4294967296"),
        ("BOOL", "bool", "1"),
        ("FP64", "double", '"1"'),
        ("BYTES", "string", "1"),
    ],
)
def test_a_leaf_of_another_type_is_echoed(
    refuse: Refuse, version_info: Build, datatype: str, name: str, value: str
) -> None:
    kind = "String" if value.startswith('"') else "Number"
    body = f'{{"instances": [{value}]}}'.encode()
    expected = ELEMENT.format(0) + TYPE.format(value, kind, name)
    assert refuse(version_info([("x", datatype, (-1,))]), body) == (400, expected)


def test_a_whole_number_above_64_bits_is_refused(refuse: Refuse, version_info: Build) -> None:
    body = b'{"instances": [18446744073709551616]}'
    expected = ELEMENT.format(0) + TYPE.format(orjson.dumps(2.0**64).decode(), "Number", "int64")
    assert refuse(version_info([("x", "INT64", (-1,))]), body) == (400, expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b64": "Y"}, "Unable to base64 decode"),
        ({"b64": "-_-_"}, "Unable to base64 decode"),
        ({"b64": 1}, 'JSON Value: {"b64":1} not formatted correctly for base64 data'),
        ({"b64": "YQ==", "x": 1}, 'JSON Value: {"b64":"YQ==","x":1} not formatted correctly for base64 data'),
    ],
)
def test_base64_of_the_wrong_form(refuse: Refuse, version_info: Build, value: Any, text: str) -> None:
    assert refuse(version_info([("x", "BYTES", (-1, 1))]), {"instances": [["a"], [value]]}) == (
        400,
        ELEMENT.format(1) + text,
    )


def test_an_echo_is_cut(refuse: Refuse, version_info: Build) -> None:
    _, text = refuse(version_info(ONE), {"instances": ["é" * 300]})
    assert text == ELEMENT.format(0) + TYPE.format('"' + "é" * 127, "String", "float")


def test_bfloat16_cannot_be_sent(refuse: Refuse, version_info: Build) -> None:
    version = version_info([("x", "BF16", (-1,))])
    conversion = "Conversion of JSON Value: {} to type: bfloat16"
    row = "Failed to process element: 0 of 'instances' list. Error: UNIMPLEMENTED: " + conversion.format("1.5")
    assert refuse(version, {"instances": [1.5]}) == (400, row)
    assert refuse(version, {"inputs": [1.5]}) == (501, conversion.format("[1.5]"))


def test_a_signature_without_inputs_has_no_json_form(refuse: Refuse, version_info: Build) -> None:
    empty = Signature(inputs=(), outputs=())
    version = version_info(signatures={"serving_default": empty, "other": empty})
    assert refuse(version, {"inputs": {}}) == (400, "Failed to get input map for signature: DEFAULT")
    named = refuse(version, {"inputs": {}, "signature_name": "other"})
    assert named == (400, "Failed to get input map for signature: other")


def test_the_declared_shape_is_checked(refuse: Refuse, version_info: Build) -> None:
    refused = refuse(version_info([("x", "FP32", (-1, 4))]), {"instances": [[1, 2, 3]]})
    assert refused == (400, "Input 'x' has the shape [1,3], the signature declares [-1,4].")


def test_a_request_needs_a_row(refuse: Refuse, version_info: Build) -> None:
    assert refuse(version_info([("x", "FP32", (-1,))]), {"inputs": []}) == (
        400,
        "A request must have at least one row.",
    )


def test_the_first_of_many_bad_values_is_found_quickly(refuse: Refuse, version_info: Build) -> None:
    rows: list[Any] = [[1.0] * 8 for _ in range(2000)]
    rows[1234][5] = "x"
    rows[1500] = [1.0]
    _, text = refuse(version_info([("x", "FP32", (-1, 8))]), {"instances": rows})
    assert text == ELEMENT.format(1234) + TYPE.format('"x"', "String", "float")


# Compressed bodies


GZIP = {"Content-Encoding": "gzip"}


def test_other_encodings_than_gzip_are_refused(refuse: Refuse, version_info: Build) -> None:
    status, text = refuse(version_info(ONE), zlib.compress(b'{"instances": [1]}'), headers={"Content-Encoding": "br"})
    assert status == 415
    assert text.startswith("Content-Encoding 'br' is not supported; this server takes gzip or none.")


def test_a_body_that_inflates_above_the_limit_is_refused(refuse: Refuse, version_info: Build) -> None:
    bomb = gzip.compress(b" " * (2 << 20))
    status, text = refuse(version_info(ONE), bomb, headers=GZIP)
    assert status == 413
    assert text.startswith("The body is above the limit of 1048576 bytes")


@pytest.mark.parametrize("damage", [b"not gzip", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"more"])
def test_a_damaged_stream_is_refused(refuse: Refuse, version_info: Build, damage: bytes) -> None:
    status, text = refuse(version_info(ONE), damage, headers=GZIP)
    assert status == 400
    assert "gzip stream" in text


def test_errors_inside_a_compressed_body_are_the_usual_ones(refuse: Refuse, version_info: Build) -> None:
    body = gzip.compress(orjson.dumps({"instances": ["x"]}))
    assert refuse(version_info(ONE), body, headers=GZIP)[1] == ELEMENT.format(0) + TYPE.format('"x"', "String", "float")


def test_base64_of_a_picture_is_no_number(refuse: Refuse, version_info: Build) -> None:
    value = {"b64": base64.b64encode(b"\xff\xd8").decode()}
    assert refuse(version_info(ONE), {"instances": [value]})[0] == 400


def test_two_signatures_have_inputs_of_their_own(refuse: Refuse, version_info: Build) -> None:
    first = Signature(inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1,)),), outputs=())
    second = Signature(inputs=(TensorSpec(name="y", datatype="INT64", shape=(-1,)),), outputs=())
    version = version_info(signatures={"serving_default": first, "other": second})
    document = {"signature_name": "other", "inputs": {"x": [1]}}
    assert refuse(version, document) == (400, "Missing named input: y in 'inputs' object.")
