"""The OpenAPI documents hold to OpenAPI 3.0.1 in what it demands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from salver.operations.base import Request
from salver.types import ModelStatus, ModelVersion, VersionInfo, VersionState, VersionStatus
from salver.wire.torchserve.inference import MmsWire, write_model_description
from salver.wire.torchserve.openapi import (
    inference_document,
    management_document,
    model_document,
    model_management_document,
)

VERBS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
OPERATION_KEYS = {"operationId", "summary", "parameters", "responses", "requestBody", "deprecated"}
TYPES = {"array", "boolean", "integer", "number", "object", "string"}


def check(document: dict[str, Any]) -> None:
    """What the specification says of the objects that these documents use."""
    assert document.keys() == {"openapi", "info", "paths"}
    assert document["openapi"] == "3.0.1"
    assert document["info"].keys() == {"title", "version"}
    operations = []
    for path, item in document["paths"].items():
        assert path.startswith("/")
        assert item.keys() <= VERBS
        for operation in item.values():
            operations.append(operation["operationId"])
            check_operation(path, operation)
    assert len(operations) == len(set(operations))


def check_operation(path: str, operation: dict[str, Any]) -> None:
    assert operation.keys() <= OPERATION_KEYS
    in_path = {found["name"] for found in operation["parameters"] if found["in"] == "path"}
    assert in_path == set(re.findall(r"\{(\w+)\}", path))
    for parameter in operation["parameters"]:
        assert parameter.keys() == {"in", "name", "required", "description", "schema"}
        assert parameter["in"] in ("path", "query")
        assert parameter["required"] is (parameter["in"] == "path")
        check_schema(parameter["schema"])
    assert {"200", "default"} == operation["responses"].keys()
    for response in operation["responses"].values():
        assert response["description"]
        check_content(response["content"])
    if "requestBody" in operation:
        check_content(operation["requestBody"]["content"])


def check_content(content: dict[str, Any]) -> None:
    for media_type, media in content.items():
        assert re.fullmatch(r"[^/]+/[^/]+", media_type)
        check_schema(media["schema"])


def check_schema(schema: dict[str, Any]) -> None:
    assert schema["type"] in TYPES
    assert ("items" in schema) is (schema["type"] == "array")
    assert set(schema.get("required", ())) <= schema.get("properties", {}).keys()
    for inner in [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]:
        check_schema(inner)


def model(info: VersionInfo | None, name: str = "m") -> ModelStatus:
    version = VersionStatus(
        id=ModelVersion(name, 3),
        state=VersionState.READY,
        runtime="onnx",
        source="m.onnx",
        environment="",
        replicas_wanted=1,
        info=info,
    )
    return ModelStatus(name=name, versions=(version,), default_version=3)


def test_the_inference_api_has_the_originals_paths() -> None:
    document = inference_document("1.0")
    check(document)
    assert {path: set(item) for path, item in document["paths"].items()} == {
        "/": {"options"},
        "/api-description": {"get"},
        "/invocations": {"post"},
        "/models/{model_name}/invoke": {"post"},
        "/ping": {"get"},
        "/predictions/{model_name}": {"options", "post"},
        "/{model_name}/predict": {"post"},
    }


def test_the_management_api_has_the_paths_that_it_serves() -> None:
    document = management_document("1.0")
    check(document)
    assert {path: set(item) for path, item in document["paths"].items()} == {
        "/": {"options"},
        "/api-description": {"get"},
        "/models": {"get", "post"},
        "/models/{model_name}": {"get", "put", "delete"},
    }


def test_the_management_of_one_model_is_a_part_of_it() -> None:
    document = model_management_document(model(None), "1.0")
    check(document)
    assert document["info"] == {"title": "RESTful Management API for: m", "version": "1.0"}
    assert document["paths"].keys() == {
        "/models/{model_name}",
        "/models/{model_name}/{model_version}",
        "/models/{model_name}/{model_version}/set-default",
    }


def test_a_model_that_takes_tensors_tells_their_shapes(version_info: Callable[..., VersionInfo]) -> None:
    info = version_info(
        [("x", "FP32", (-1, 4)), ("n", "INT8", ()), ("t", "BYTES", (-1,)), ("b", "BOOL", (1,))], name="m", version=3
    )
    document = model_document(model(info))
    check(document)
    assert document["info"] == {"title": "RESTful API for: m", "version": "3"}
    content = document["paths"]["/prediction/m"]["post"]["requestBody"]["content"]
    schema = content["application/json"]["schema"]
    assert schema["required"] == ["x", "n", "t", "b"]
    assert schema["properties"]["x"] == {
        "type": "array",
        "items": {"type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4},
        "description": "FP32 [-1, 4]",
    }
    assert [schema["properties"][name]["type"] for name in "ntb"] == ["integer", "array", "array"]
    assert "*/*" in content


def test_a_model_whose_handler_takes_bodies_takes_anything(version_info: Callable[..., VersionInfo]) -> None:
    document = model_document(model(version_info()))
    check(document)
    assert document["paths"]["/prediction/m"]["post"]["requestBody"]["content"].keys() == {"*/*"}


@pytest.mark.parametrize(
    "status", [ModelStatus(name="m", versions=(), default_version=None), model(None), model(None, "a b")]
)
def test_a_model_that_is_not_loaded_has_a_document_too(status: ModelStatus) -> None:
    check(model_document(status))


def test_the_path_of_a_models_document_answers(ordinary_request: Callable[..., Request]) -> None:
    """The original writes the path in the singular, where it does not answer; here it does."""
    answer = write_model_description(model(None), ordinary_request("OPTIONS", "/predictions/m", model="m"))
    (path,) = json.loads(answer.body)["paths"]
    route = MmsWire(lambda: None).predict_route(b"POST", path.encode())
    assert route is not None
    assert route.model == "m"
