import shlex
from collections.abc import Callable, Iterator
from typing import Any

import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations import server
from salver.operations.base import Request
from salver.types import (
    ModelStatus,
    ModelVersion,
    PayloadKind,
    Ranking,
    Signature,
    TensorSpec,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.native import NativeWire
from salver.wire.native.openapi.schemas import element_schema, example_file, example_inputs, tensor_schema

Document = Callable[..., Any]


def status_of(info: VersionInfo | None, name: str = "m") -> ModelStatus:
    version = VersionStatus(
        id=ModelVersion(name, 3),
        state=VersionState.READY,
        runtime="onnx",
        source="",
        environment="",
        replicas_wanted=1,
        info=info,
    )
    return ModelStatus(name=name, versions=(version,), default_version=3, labels={"stable": 3})


@pytest.fixture
def document(wire: NativeWire, ordinary_request: Callable[..., Request]) -> Document:
    """`document(info, version="3")`: the OpenAPI document of a model, read back from its JSON."""

    def build(info: VersionInfo | None, name: str = "m", **path_params: str) -> Any:
        place = "".join(f"/{kind}s/{{{kind}}}" for kind in path_params)
        route = next(route for route in wire.routes if route.path == f"/api/v1/models/{{model}}{place}/openapi.json")
        request = ordinary_request("GET", "/", model=name, **path_params)
        route.read(request)
        answer = route.write(status_of(info, name), request)
        assert answer.headers == (("X-Request-Id", "request-1"),)
        return orjson.loads(answer.body)

    return build


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for child in node.values():
            yield from references(child)
    elif isinstance(node, list):
        for child in node:
            yield from references(child)


def check_structure(found: Any) -> None:
    """What every OpenAPI document must hold: references lead somewhere, names are unique, parameters are declared."""
    for reference in references(found):
        node = found
        for key in reference.removeprefix("#/").split("/"):
            node = node[key]
    operations = [(path, operation) for path, item in found["paths"].items() for operation in item.values()]
    names = [operation["operationId"] for _, operation in operations]
    assert len(names) == len(set(names))
    for path, operation in operations:
        declared = {row["name"] for row in operation.get("parameters", ()) if row["in"] == "path"}
        assert declared == {piece.partition("}")[0] for piece in path.split("{")[1:]}
        assert operation["summary"]
        assert operation["responses"]
    validator = pytest.importorskip("openapi_spec_validator")
    validator.OpenAPIV31SpecValidator(found).validate()


def conforms(found: Any, schema: Any, value: Any) -> bool:
    """Whether a value fits a schema of the document."""
    jsonschema = pytest.importorskip("jsonschema")
    whole = {"components": found["components"], **schema}
    return bool(jsonschema.Draft202012Validator(whole).is_valid(value))


def request_schema(found: Any, path: str = "/api/v1/models/m/predict") -> Any:
    return found["paths"][path]["post"]["requestBody"]["content"]["application/json"]["schema"]


def response_schema(found: Any, path: str = "/api/v1/models/m/predict") -> Any:
    return found["paths"][path]["post"]["responses"]["200"]["content"]["application/json"]["schema"]


CASES: list[dict[str, Any]] = [
    {"inputs": [("x", "FP32", (-1, 4))], "outputs": [("p", "FP32", (-1, 3))]},
    {"inputs": [("x", "BYTES", (-1,))], "outputs": [("p", "INT64", (-1,)), ("q", "BYTES", (-1, -1))]},
    {"inputs": [("a", "BOOL", (-1,)), ("b", "UINT8", (-1, 8, 8))], "outputs": [("p", "FP64", ())]},
    {"inputs": [("x", "FP16", ())], "outputs": [("p", "BF16", (2,))], "has_batch_dimension": False},
    {"inputs": [("image", "BYTES", (-1,))], "example": {"inputs": {"image": {"file": "kitten.jpg"}}}},
    {"inputs": [("x", "FP32", (-1, 2))], "example": {"inputs": {"x": [[1.0, 2.0]]}, "expect": {}}},
    {},
    {"signatures": {}, "payload": PayloadKind.BODY},
    {"signatures": {"only": Signature(inputs=(TensorSpec(name="x", datatype="INT8", shape=(-1,)),), outputs=())}},
]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("place", [{}, {"version": "3"}, {"label": "stable"}])
def test_every_model_has_a_valid_document(
    document: Document, version_info: Callable[..., VersionInfo], case: dict[str, Any], place: dict[str, str]
) -> None:
    found = document(version_info(**case), **place)

    check_structure(found)
    assert found["openapi"] == "3.1.0"
    assert found["servers"] == [{"url": "http://127.0.0.1:8080"}]


def test_a_ranking_model_has_a_valid_document(document: Document, version_info: Callable[..., VersionInfo]) -> None:
    found = document(
        version_info(
            [("image", "BYTES", (-1,))],
            [("label", "BYTES", (-1, 5)), ("p", "FP32", (-1, 5))],
            ranking=Ranking(classes="label", probabilities="p"),
        )
    )

    check_structure(found)
    answer = {
        "model": "m",
        "version": 1,
        "outputs": {"label": [["cat"] * 5], "p": [[0.5, 0.25, 0.125, None, 0]]},
        "ranking": [[{"class": "cat", "probability": 0.5}, {"class": "dog", "probability": None}]],
    }
    assert conforms(found, response_schema(found), answer)
    assert not conforms(found, response_schema(found), {key: answer[key] for key in ("model", "version", "outputs")})


def test_the_addresses_follow_the_place(document: Document, iris: VersionInfo) -> None:
    assert set(document(iris)["paths"]) == {
        "/api/v1/models/m/predict",
        "/v1/models/m:predict",
        "/predictions/m",
        "/v2/models/m/infer",
    }
    assert set(document(iris, version="3")["paths"]) == {
        "/api/v1/models/m/versions/3/predict",
        "/v1/models/m/versions/3:predict",
        "/v2/models/m/versions/3/infer",
    }
    assert set(document(iris, label="stable")["paths"]) == {
        "/api/v1/models/m/labels/stable/predict",
        "/v1/models/m/labels/stable:predict",
    }


def test_a_model_of_bodies_has_no_tensorflow_address(
    document: Document, version_info: Callable[..., VersionInfo]
) -> None:
    assert set(document(version_info())["paths"]) == {
        "/api/v1/models/m/predict",
        "/predictions/m",
        "/v2/models/m/infer",
    }


def test_another_signature_than_the_default_one_has_no_address_of_the_open_inference_protocol(
    document: Document, version_info: Callable[..., VersionInfo]
) -> None:
    other = Signature(inputs=(TensorSpec(name="x", datatype="INT8", shape=(-1,)),), outputs=())
    assert "/v2/models/m/infer" not in document(version_info(signatures={"other": other}))["paths"]


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({}, True),
        ({"shape": [2, 3]}, False),
        ({"shape": [4]}, False),
        ({"datatype": "FP64"}, False),
        ({"name": "y"}, False),
    ],
)
def test_a_tensor_of_the_open_inference_protocol_has_its_name_datatype_and_shape(
    document: Document, iris: VersionInfo, changes: dict[str, Any], fits: bool
) -> None:
    found = document(iris)
    item = {"name": "x", "datatype": "FP32", "shape": [2, 4], "data": [1] * 8} | changes
    assert conforms(found, request_schema(found, "/v2/models/m/infer"), {"inputs": [item]}) is fits


def test_a_name_is_escaped_in_addresses(document: Document, iris: VersionInfo) -> None:
    found = document(iris, name="a b{c}")

    check_structure(found)
    assert "/predictions/a%20b%7Bc%7D" in found["paths"]


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ({"inputs": {"x": [[1, 2, 3, 4.5]]}}, True),
        ({"inputs": [[1, 2, 3, 4]]}, True),
        ({"instances": [[1, 2, 3, 4]]}, True),
        ({"instances": [{"x": [1, 2, 3, 4]}]}, True),
        ([[1, 2, 3, 4], [5, 6, 7, 8]], True),
        ({"inputs": {"x": [[1, 2, 3]]}}, False),
        ({"inputs": {"y": [[1, 2, 3, 4]]}}, False),
        ({"inputs": [["1", 2, 3, 4]]}, False),
        ({"predict": []}, False),
        (5, False),
    ],
)
def test_the_request_schema_says_what_the_server_takes(
    document: Document, iris: VersionInfo, value: Any, fits: bool
) -> None:
    found = document(iris)

    assert conforms(found, request_schema(found), value) is fits


def test_the_response_schemas_say_what_each_protocol_answers(document: Document, iris: VersionInfo) -> None:
    found = document(iris)
    native, tfserving = response_schema(found), response_schema(found, "/v1/models/m:predict")

    assert conforms(found, native, {"model": "m", "version": 3, "outputs": {"p": [[0.1, None, 1]]}})
    assert not conforms(found, native, {"model": "m", "version": 3, "outputs": {"p": [[0.1]]}})
    openinference = response_schema(found, "/v2/models/m/infer")
    output = {"name": "p", "datatype": "FP32", "shape": [1, 3], "data": [0.1, None, 1]}
    assert conforms(found, openinference, {"model_name": "m", "model_version": "3", "outputs": [output]})
    assert not conforms(found, openinference, {"model_name": "m", "model_version": "3", "outputs": [{"name": "p"}]})
    assert conforms(found, tfserving, {"predictions": [[0.1, 0.2, 0.7]]})
    assert conforms(found, tfserving, {"outputs": [[0.1, 0.2, 0.7]]})
    assert not conforms(found, tfserving, {"outputs": {"p": [0.1]}})


def test_several_outputs_have_names_for_tensorflow_clients(
    document: Document, version_info: Callable[..., VersionInfo]
) -> None:
    found = document(version_info([("x", "FP32", (-1,))], [("a", "FP32", (-1,)), ("b", "INT32", (-1, 1))]))
    schema = response_schema(found, "/v1/models/m:predict")

    assert conforms(found, schema, {"predictions": [{"a": 1.5, "b": [1]}]})
    assert conforms(found, schema, {"outputs": {"a": [1.5], "b": [[1]]}})


def test_content_types_follow_the_inputs(document: Document, version_info: Callable[..., VersionInfo]) -> None:
    def types(inputs: Any) -> set[str]:
        found = document(version_info(inputs))
        return set(found["paths"]["/api/v1/models/m/predict"]["post"]["requestBody"]["content"])

    arrow = {f"application/vnd.apache.{kind}" for kind in ("arrow.stream", "arrow.file", "parquet")}
    packed = {f"application/{kind}" for kind in ("json", "x-ndjson", "x-npz", "msgpack")}
    always = {"multipart/form-data", "text/csv"} | packed | arrow
    raw = "application/octet-stream"
    assert types([("x", "FP32", (-1, 4))]) == always | {raw, "application/x-npy"}
    assert types([("x", "BYTES", (-1,))]) == always | {raw, "image/*", "audio/*", "text/plain"}
    assert types([("x", "FP32", (-1,)), ("y", "FP32", (-1,))]) == always
    assert types([]) == {"*/*"}


def test_errors_have_the_shape_of_their_protocol(document: Document, iris: VersionInfo) -> None:
    found = document(iris)
    error = {"error": {"code": "OVERLOADED", "message": "m", "fix": "f", "request_id": "r"}}

    assert conforms(found, found["components"]["schemas"]["Error"], error)
    assert not conforms(found, found["components"]["schemas"]["Error"], {"error": error["error"] | {"code": "NEW"}})
    assert {"400", "429", "503", "504"} <= set(found["paths"]["/api/v1/models/m/predict"]["post"]["responses"])


def test_the_command_can_be_pasted(document: Document, version_info: Callable[..., VersionInfo]) -> None:
    def command(**case: Any) -> list[str]:
        description = document(version_info(**case))["paths"]["/api/v1/models/m/predict"]["post"]["description"]
        return shlex.split(description.split("```sh\n")[1].split("\n```")[0])

    url = "http://127.0.0.1:8080/api/v1/models/m/predict"
    json = ["curl", url, "-H", "Content-Type: application/json", "--data"]
    assert command(inputs=[("it's", "FP32", (-1, 2))]) == [*json, '{"inputs": {"it\'s": [[0.0, 0.0]]}}']
    assert command(inputs=[("x", "INT8", (-1,))], example={"inputs": {"x": [7]}}) == [*json, '{"inputs": {"x": [7]}}']
    picture = {"inputs": {"image": {"file": "kitten.jpg"}}}
    assert command(inputs=[("image", "BYTES", (-1,))], example=picture) == [
        *["curl", url, "-H", "Content-Type: image/jpeg"],
        *["--data-binary", "@kitten.jpg"],
    ]
    assert command() == [
        *["curl", url, "-H", "Content-Type: application/octet-stream"],
        *["--data-binary", "@request.bin"],
    ]


def test_a_model_that_was_never_loaded_has_no_document_yet(document: Document) -> None:
    with pytest.raises(RequestError) as caught:
        document(None)
    assert caught.value.code is Code.MODEL_NOT_READY


def test_a_label_that_names_nothing_has_no_document(document: Document, iris: VersionInfo) -> None:
    with pytest.raises(RequestError) as caught:
        document(iris, label="canary")
    assert caught.value.code is Code.MODEL_NOT_READY


def test_the_description_is_the_model_s_own(document: Document, version_info: Callable[..., VersionInfo]) -> None:
    described = document(version_info([("x", "FP32", (-1,))], description="Tells cats from dogs."))

    assert described["info"] == {"title": "m", "version": "1", "description": "Tells cats from dogs."}


def test_the_server_has_a_valid_document(wire: NativeWire, ordinary_request: Callable[..., Request]) -> None:
    route = next(route for route in wire.routes if route.path == "/openapi.json")
    answer = route.write(
        server.ServerDescription(version="1.2", wires=("native",)), ordinary_request("GET", "/openapi.json")
    )
    found = orjson.loads(answer.body)

    check_structure(found)
    assert found["info"]["version"] == "1.2"
    assert {route.path for route in wire.routes} | {"/api/v1/models/{model}/predict"} <= set(found["paths"])
    created = found["paths"]["/api/v1/keys"]["post"]
    assert created["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/KeyRequest"
    }
    assert set(created["responses"]) == {"201", "default"}
    key = found["components"]["schemas"]["KeyDocument"]
    assert key["properties"]["created_at"] == {"type": "string", "format": "date-time"}
    assert all("``" not in schema.get("description", "") for schema in found["components"]["schemas"].values())


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("INT8", -128, 128),
        ("UINT16", 65535, -1),
        ("UINT64", 2**64 - 1, 2**64),
        ("INT64", -(2**63), 2**63),
        ("BOOL", True, 1),
        ("FP32", 1.5, None),
        ("INT32", 3, 3.5),
        ("BYTES", "text", 1),
    ],
)
def test_element_schemas_hold_the_limits_of_the_datatype(
    document: Document, iris: VersionInfo, datatype: str, good: Any, bad: Any
) -> None:
    found, schema = document(iris), element_schema(datatype, is_output=False)

    assert conforms(found, schema, good)
    assert not conforms(found, schema, bad)


def test_bytes_may_be_base64(document: Document, iris: VersionInfo) -> None:
    found, schema = document(iris), element_schema("BYTES", is_output=False)

    assert conforms(found, schema, {"b64": "AA=="})
    assert not conforms(found, schema, {"b64": "AA==", "x": 1})


def test_a_free_dimension_has_any_length() -> None:
    schema = tensor_schema(TensorSpec(name="x", datatype="FP64", shape=(-1, 2)))

    assert schema == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    }


SIGNATURE = Signature(
    inputs=(
        TensorSpec(name="a", datatype="BYTES", shape=(-1, 2)),
        TensorSpec(name="b", datatype="BOOL", shape=()),
        TensorSpec(name="c", datatype="UINT8", shape=(1,)),
    ),
    outputs=(),
)


@pytest.mark.parametrize("example", [None, {}, {"inputs": "malformed"}])
def test_without_an_example_values_of_the_right_shape_stand_in(example: Any) -> None:
    assert example_inputs(SIGNATURE, example) == {"a": [["text", "text"]], "b": False, "c": [0]}


def test_an_example_is_shown_as_it_is_unless_it_is_a_file() -> None:
    assert example_inputs(SIGNATURE, {"inputs": {"a": [["x", "y"]]}}) == {"a": [["x", "y"]]}
    assert example_inputs(SIGNATURE, {"inputs": {"a": {"file": "a.txt"}}}) is None


def test_nobody_reads_large_examples() -> None:
    large = Signature(inputs=(TensorSpec(name="x", datatype="FP32", shape=(-1, 3, 224, 224)),), outputs=())

    assert example_inputs(large, None) is None


@pytest.mark.parametrize(
    ("example", "file"),
    [
        (None, None),
        ({"inputs": {}}, None),
        ({"inputs": {"x": [1]}}, None),
        ({"inputs": {"x": {"file": "cat.png"}}}, "cat.png"),
        ({"inputs": {"x": {"file": "cat.png"}, "y": {"file": "dog.png"}}}, None),
    ],
)
def test_an_example_file_is_named_when_it_is_the_whole_body(example: Any, file: str | None) -> None:
    assert example_file(example) == file


def test_a_tensor_of_unknown_rank_may_be_anything(document: Document, version_info: Callable[..., VersionInfo]) -> None:
    spec = TensorSpec(name="x", datatype="FP32", shape=(-1,), has_rank=False)
    assert tensor_schema(spec) == {}
    info = version_info(signatures={"serving_default": Signature(inputs=(spec,), outputs=())})
    assert "FP32 of any shape" in orjson.dumps(document(info, version="3")).decode()
