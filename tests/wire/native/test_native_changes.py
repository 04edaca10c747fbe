"""The addresses that change what is served: what they ask for, and what they say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations import models
from salver.operations.base import Request, Route
from salver.types import (
    ModelRoute,
    ModelStatus,
    ModelVersion,
    PolicyKind,
    Preserve,
    Scale,
    VersionFailure,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from salver.wire.native import NativeWire

JSON = (("content-type", "application/json"),)
BYTES = (("content-type", "application/octet-stream"),)


def route_of(wire: NativeWire, method: str, path: str) -> Route:
    return next(route for route in wire.routes if route.path == f"/api/v1/models/{path}" and method in route.methods)


@pytest.fixture
def read(wire: NativeWire) -> Callable[..., Any]:
    """`read("PUT", "{model}/scale", {"replicas": 2})`: the parameters that a request comes to."""

    def run(
        method: str,
        path: str,
        document: Any = None,
        *,
        query: dict[str, str] | None = None,
        headers: tuple[tuple[str, str], ...] = JSON,
        upload: str = "",
        **parameters: str,
    ) -> Any:
        request = Request(
            method=method,
            path="/",
            raw_path="/",
            path_params={"model": "iris", **parameters},
            query=tuple((query or {}).items()),
            headers=headers,
            body=b"" if document is None else orjson.dumps(document),
            upload=upload,
            request_id="request-1",
        )
        return route_of(wire, method, path).read(request)

    return run


@pytest.mark.parametrize(
    ("method", "path", "document", "parameters", "wanted"),
    [
        ("POST", "{model}/promote", {"version": 2}, {}, models.PromoteVersion(model="iris", version=2)),
        ("POST", "{model}/rollback", None, {}, models.RollBack(model="iris")),
        (
            "PUT",
            "{model}/labels/{label}",
            {"version": 3},
            {"label": "canary"},
            models.SetLabel(model="iris", label="canary", version=3),
        ),
        (
            "DELETE",
            "{model}/labels/{label}",
            None,
            {"label": "canary"},
            models.SetLabel(model="iris", label="canary", version=None),
        ),
        (
            "PUT",
            "{model}/route",
            {"weights": {"1": 9, "2": 1}, "sticky": "principal"},
            {},
            models.SetRoute(model="iris", weights={1: 9, 2: 1}, sticky="principal"),
        ),
        ("DELETE", "{model}/route", None, {}, models.SetRoute(model="iris")),
        ("PUT", "{model}/scale", {"replicas": 2}, {}, models.SetScale(model="iris", replicas=2)),
        (
            "PUT",
            "{model}/scale",
            {"replicas": None, "on_demand": True, "idle_unload_s": 60, "pinned": False},
            {},
            models.SetScale(model="iris", replicas=None, is_on_demand=True, idle_unload_s=60.0, is_pinned=False),
        ),
        (
            "PUT",
            "{model}/policy",
            {"policy": "specific", "versions": [1, 3], "preserve": "resources"},
            {},
            models.SetPolicy(
                model="iris",
                policy=VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3), preserve=Preserve.RESOURCES),
            ),
        ),
        ("POST", "{model}/load", None, {}, models.LoadModel(model="iris")),
        ("POST", "{model}/load", {"version": 2}, {}, models.LoadModel(model="iris", version=2)),
        ("POST", "{model}/unload", None, {}, models.UnloadModel(model="iris")),
        ("DELETE", "{model}", None, {}, models.DeleteModel(model="iris")),
        ("DELETE", "{model}/versions/{version}", None, {"version": "2"}, models.DeleteModel(model="iris", version=2)),
        ("GET", "{model}/versions", None, {}, models.ListVersions(model="iris")),
    ],
)
def test_each_address_asks_for_its_change(
    read: Any, method: str, path: str, document: Any, parameters: dict[str, str], wanted: Any
) -> None:
    assert read(method, path, document, **parameters) == wanted


def test_the_query_says_what_goes_with_every_change(read: Any) -> None:
    wanted = read("POST", "{model}/unload", query={"plan": "", "wait": "2.5", "revision": "7"})
    assert wanted == models.UnloadModel(model="iris", is_plan=True, wait_s=2.5, revision=7)
    assert not read("POST", "{model}/unload", query={"plan": "false"}).is_plan


@pytest.mark.parametrize(
    "query", [{"plan": "maybe"}, {"wait": "-1"}, {"wait": "nan"}, {"wait": "soon"}, {"wait": "601"}, {"revision": "x"}]
)
def test_a_query_that_makes_no_sense_is_refused(read: Any, query: dict[str, str]) -> None:
    with pytest.raises(RequestError) as raised:
        read("POST", "{model}/unload", query=query)
    assert raised.value.code is Code.INVALID_INPUT
    assert raised.value.fix


@pytest.mark.parametrize(
    ("method", "path", "document"),
    [
        ("POST", "{model}/promote", {}),
        ("POST", "{model}/promote", {"version": "two"}),
        ("PUT", "{model}/route", {"weights": {"one": 1}}),
        ("PUT", "{model}/scale", {"replica": 2}),
        ("PUT", "{model}/policy", {"policy": "newest"}),
    ],
)
def test_a_body_that_does_not_fit_is_told_what_would(read: Any, method: str, path: str, document: Any) -> None:
    with pytest.raises(RequestError, match="does not fit") as raised:
        read(method, path, document)
    assert raised.value.code is Code.INVALID_INPUT
    assert "JSON object of" in raised.value.fix


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("{model}/promote", '{"version": 99999999999999999999}'),
        ("{model}/load", '{"version": 9223372036854775808}'),
    ],
)
def test_a_number_that_nothing_can_hold_is_refused(wire: NativeWire, path: str, body: str) -> None:
    request = Request(
        method="POST", path="/", raw_path="/", path_params={"model": "iris"}, headers=JSON, body=body.encode()
    )
    with pytest.raises(RequestError) as raised:
        route_of(wire, "POST", path).read(request)
    assert raised.value.code is Code.INVALID_INPUT


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("{model}/route", {"weights": {}}),
        ("{model}/route", {"weights": {"1": 2**63}}),
        ("{model}/scale", {"replicas": 2**63}),
        ("{model}/policy", {"policy": "latest", "count": 2**63}),
        ("{model}/policy", {"policy": "specific", "versions": [2**63]}),
    ],
)
def test_a_document_that_would_do_something_else_is_refused(read: Any, path: str, document: Any) -> None:
    with pytest.raises(RequestError) as raised:
        read("PUT", path, document)
    assert raised.value.code is Code.INVALID_INPUT


@pytest.mark.parametrize("path", ["promote", "rollback", "unload", "load"])
def test_no_form_of_a_page_changes_anything(read: Any, path: str) -> None:
    with pytest.raises(RequestError) as raised:
        read("POST", f"{{model}}/{path}", headers=(("content-type", "text/plain"),))
    assert raised.value.code is Code.UNSUPPORTED_MEDIA_TYPE


# Uploads


def test_an_upload_is_a_version_to_be(read: Any) -> None:
    wanted = read(
        "POST",
        "{model}/versions",
        headers=BYTES,
        upload="/staged/1",
        query={"file": "iris.onnx", "promote": "true"},
    )
    assert wanted == models.PublishVersion(model="iris", upload="/staged/1", file_name="iris.onnx", is_promoted=True)
    numbered = read(
        "PUT", "{model}/versions/{version}", version="7", headers=(), upload="/s", query={"file": "iris.onnx"}
    )
    assert numbered.version == 7


@pytest.mark.parametrize(
    ("content_type", "name"),
    [
        ("application/zip", "upload.zip"),
        ("application/x-tar", "upload.tar"),
        ("application/gzip", "upload.tar.gz"),
    ],
)
def test_a_packed_folder_needs_no_name(read: Any, content_type: str, name: str) -> None:
    assert read("POST", "{model}/versions", headers=(("content-type", content_type),)).file_name == name


@pytest.mark.parametrize("headers", [(), (("content-type", "multipart/form-data; boundary=x"),)])
def test_an_upload_that_a_page_could_send_is_refused(read: Any, headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(RequestError) as raised:
        read("POST", "{model}/versions", headers=headers, query={"file": "iris.onnx"})
    assert raised.value.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize("name", ["", "..", "a/b.onnx", "a\\b.onnx", "a\nb.onnx", "x" * 201])
def test_a_file_needs_a_bare_name(read: Any, name: str) -> None:
    with pytest.raises(RequestError) as raised:
        read("POST", "{model}/versions", headers=BYTES, query={"file": name})
    assert raised.value.code is Code.INVALID_INPUT


# Answers


@pytest.fixture
def outcome() -> models.Outcome:
    version = VersionStatus(
        id=ModelVersion("iris", 2),
        state=VersionState.FAILED,
        runtime="onnx",
        source="iris.onnx",
        environment="python",
        replicas_wanted=1,
        reason="no weights",
        fix="train it",
    )
    now = ModelStatus(
        name="iris",
        versions=(version,),
        default_version=2,
        labels={"stable": 2},
        route=ModelRoute(weights={2: 5}),
        scale=Scale(replicas=2),
    )
    return models.Outcome(
        model="iris",
        version=2,
        is_plan=False,
        plan=models.Plan(steps=("load iris/2",), warnings=("careful",)),
        revision=4,
        is_settled=True,
        now=now,
    )


def answer(wire: NativeWire, method: str, path: str, result: Any) -> tuple[int, dict[str, str], Any]:
    request = Request(method=method, path="/", raw_path="/", request_id="request-1")
    written = route_of(wire, method, path).write(result, request)
    return written.status, dict(written.headers), orjson.loads(written.body)


def test_the_answer_says_what_was_done_and_what_stands(wire: NativeWire, outcome: models.Outcome) -> None:
    status, headers, document = answer(wire, "POST", "{model}/promote", outcome)
    now = document.pop("now")
    assert (status, headers["X-Request-Id"]) == (200, "request-1")
    assert document == {
        "model": "iris",
        "version": 2,
        "digest": "",
        "plan": False,
        "steps": ["load iris/2"],
        "warnings": ["careful"],
        "revision": 4,
        "settled": True,
    }
    assert now["route"] == {"weights": {"2": 5}, "sticky": ""}
    assert now["policy"] == {"policy": "latest", "count": 1, "versions": [], "preserve": "availability"}
    assert now["scale"]["replicas"] == 2
    assert now["versions"][0]["fix"] == "train it"


def test_nothing_is_left_of_a_deleted_model(wire: NativeWire, outcome: models.Outcome) -> None:
    gone = msgspec.structs.replace(outcome, now=None)
    assert answer(wire, "DELETE", "{model}", gone)[2]["now"] is None


def test_a_published_version_has_a_place(wire: NativeWire, outcome: models.Outcome) -> None:
    status, headers, _ = answer(wire, "POST", "{model}/versions", outcome)
    assert (status, headers["Location"]) == (201, "/api/v1/models/iris/versions/2")
    plan = msgspec.structs.replace(outcome, is_plan=True)
    status, headers, document = answer(wire, "POST", "{model}/versions", plan)
    assert (status, document["plan"], "Location" in headers) == (200, True, False)


def test_the_list_of_versions_tells_of_each(wire: NativeWire) -> None:
    failure = VersionFailure(code="LOAD_FAILED", message="no weights", at=0.0)
    known = models.StoredVersion(
        version=1,
        state=None,
        is_default=False,
        labels=("old",),
        weight=0,
        source="iris.onnx",
        digest="ab" * 32,
        size_bytes=10,
        created_at=0.0,
        created_by="key:1",
        failure=failure,
    )
    given = msgspec.structs.replace(known, version=2, digest="", failure=None)
    found = models.VersionList(model="iris", versions=(given, known), revision=3)
    _, _, document = answer(wire, "GET", "{model}/versions", found)
    new, old = document["versions"]
    assert document["revision"] == 3
    assert (old["state"], old["created_at"]) == (None, "1970-01-01T00:00:00Z")
    assert old["failure"]["message"] == "no weights"
    assert (new["digest"], new["created_at"], new["failure"]) == ("", None, None)
