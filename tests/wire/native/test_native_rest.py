from collections.abc import Callable
from typing import Any

import orjson
import pytest

from salver.errors import Code, RequestError
from salver.operations import access, inference, models, server
from salver.operations.base import Answer, Request, Route
from salver.operations.catalogue import OPERATIONS
from salver.store.base import AuditLine, KeyRecord
from salver.types import (
    ModelStatus,
    ModelVersion,
    ReplicaStatus,
    VersionInfo,
    VersionState,
    VersionStatus,
)
from salver.wire.native import NativeWire

Ask = Callable[..., Request]

JSON = [("content-type", "application/json")]
RECORD = KeyRecord(
    id="k1",
    label="ci",
    role="viewer",
    models=("m",),
    digest=b"never shown",
    created_at=0.0,
    created_by="admin",
    expires_at=86400.5,
)
KEY = {
    "id": "k1",
    "label": "ci",
    "role": "viewer",
    "models": ["m"],
    "created_at": "1970-01-01T00:00:00Z",
    "created_by": "admin",
    "expires_at": "1970-01-02T00:00:00.500000Z",
    "revoked_at": None,
    "requests_per_second": None,
}


def route_of(wire: NativeWire, path: str, method: str = "GET") -> Route:
    return next(route for route in wire.routes if route.path == path and method in route.methods)


def document(answer: Answer) -> Any:
    assert ("X-Request-Id", "request-1") in answer.headers
    return orjson.loads(answer.body)


@pytest.fixture
def status(iris: VersionInfo) -> ModelStatus:
    """A model with a version that serves and one that failed."""
    ready = VersionStatus(
        id=ModelVersion("iris", 3),
        state=VersionState.READY,
        runtime="onnx",
        source="iris.onnx",
        environment="python3.11",
        replicas_wanted=2,
        replicas=(
            ReplicaStatus(id="a", pid=7, state="READY", started_at=1.0, rss_bytes=9),
            ReplicaStatus(id="b", pid=None, state="DEAD", started_at=2.0, restarts=1, reason="killed"),
        ),
        info=iris,
    )
    failed = VersionStatus(
        id=ModelVersion("iris", 2),
        state=VersionState.FAILED,
        runtime="onnx",
        source="\udcff.onnx",
        environment="",
        replicas_wanted=1,
        reason="No module named 'x'.",
        fix="Install x.",
        log_tail=("line",),
    )
    return ModelStatus(name="iris", versions=(ready, failed), default_version=3, labels={"stable": 3})


def test_every_route_names_an_operation_of_the_catalogue(wire: NativeWire) -> None:
    operations = {row.name for row in OPERATIONS}
    assert {route.operation for route in wire.routes} <= operations
    route = wire.predict_route(b"POST", b"/api/v1/models/m/predict")
    assert route is not None
    assert route.operation == inference.PREDICT.name


def test_only_posts_are_predictions(wire: NativeWire) -> None:
    assert wire.predict_route(b"GET", b"/api/v1/models/m/predict") is None
    assert wire.predict_route(b"POST", b"/api/v1/models/m") is None


def test_the_list_of_models_is_short(wire: NativeWire, ordinary_request: Ask, status: ModelStatus) -> None:
    request = ordinary_request("GET", "/api/v1/models")
    route = route_of(wire, "/api/v1/models")

    assert route.read(request) == models.ListModels()
    assert document(route.write((status,), request)) == {
        "models": [
            {
                "name": "iris",
                "default_version": 3,
                "labels": {"stable": 3},
                "route": None,
                "versions": [
                    {
                        "version": 3,
                        "state": "READY",
                        "runtime": "onnx",
                        "replicas_ready": 1,
                        "replicas_wanted": 2,
                        "reason": "",
                    },
                    {
                        "version": 2,
                        "state": "FAILED",
                        "runtime": "onnx",
                        "replicas_ready": 0,
                        "replicas_wanted": 1,
                        "reason": "No module named 'x'.",
                    },
                ],
            }
        ]
    }


def test_a_model_tells_all_there_is(wire: NativeWire, ordinary_request: Ask, status: ModelStatus) -> None:
    request = ordinary_request("GET", "/api/v1/models/iris", model="iris")
    route = route_of(wire, "/api/v1/models/{model}")

    assert route.read(request) == models.GetModel(model="iris")
    ready, failed = document(route.write(status, request))["versions"]
    assert ready["signatures"]["serving_default"] == {
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "p", "datatype": "FP32", "shape": [-1, 3]}],
        "ranking": None,
    }
    assert ready["payload"] == "tensors"
    assert ready["batching"]["max_batch_rows"] == 64
    assert ready["replicas"][1] == {
        "id": "b",
        "pid": None,
        "state": "DEAD",
        "started_at": "1970-01-01T00:00:02Z",
        "restarts": 1,
        "rss_bytes": 0,
        "reason": "killed",
    }
    assert (failed["fix"], failed["log_tail"], failed["source"]) == ("Install x.", ["line"], "?.onnx")
    assert (failed["signatures"], failed["batching"], failed["payload"]) == ({}, None, None)


def test_versions_and_labels_have_addresses(wire: NativeWire, ordinary_request: Ask) -> None:
    version = ordinary_request("GET", "/api/v1/models/m/versions/2", model="m", version="2")
    label = ordinary_request("GET", "/api/v1/models/m/labels/stable", model="m", label="stable")
    route = route_of(wire, "/api/v1/models/{model}/versions/{version}")

    assert route.read(version) == models.GetModel(model="m", version=2)
    assert route.model(version) == "m"
    assert route_of(wire, "/api/v1/models/{model}/labels/{label}").read(label) == models.GetModel(
        model="m", label="stable"
    )


@pytest.mark.parametrize("text", ["x", "-1", "1.0", "²", "1" * 19])
def test_a_version_is_a_number(wire: NativeWire, ordinary_request: Ask, text: str) -> None:
    request = ordinary_request("GET", "/", model="m", version=text)

    with pytest.raises(RequestError) as caught:
        route_of(wire, "/api/v1/models/{model}/versions/{version}").read(request)
    assert caught.value.code is Code.VERSION_NOT_FOUND


@pytest.mark.parametrize("path", ["/health/live", "/livez", "/healthz"])
def test_liveness(wire: NativeWire, ordinary_request: Ask, path: str) -> None:
    route, request = route_of(wire, path), ordinary_request("GET", path)

    assert (route.operation, route.read(request)) == ("server.live", server.GetHealth())
    alive = route.write(server.HealthReport(is_live=True, is_ready=False), request)
    assert (alive.status, document(alive)) == (200, {"live": True})
    assert route.write(server.HealthReport(is_live=False, is_ready=False), request).status == 503


@pytest.mark.parametrize("path", ["/health/ready", "/readyz"])
def test_readiness_says_what_is_missing(wire: NativeWire, ordinary_request: Ask, path: str) -> None:
    route, request = route_of(wire, path), ordinary_request("GET", path)
    waiting = server.HealthReport(
        is_live=True, is_ready=False, reasons=("iris/3 is STARTING",), replicas_ready=0, replicas_wanted=1
    )

    answer = route.write(waiting, request)

    assert answer.status == 503
    assert document(answer) == {
        "ready": False,
        "reasons": ["iris/3 is STARTING"],
        "replicas_ready": 0,
        "replicas_wanted": 1,
    }
    ready = route.write(server.HealthReport(is_live=True, is_ready=True), request)
    assert (ready.status, document(ready)["ready"]) == (200, True)


def test_metrics_are_text(wire: NativeWire, ordinary_request: Ask) -> None:
    route, request = route_of(wire, "/metrics"), ordinary_request("GET", "/metrics")

    answer = route.write(b"salver_up 1\n", request)

    assert route.read(request) == server.GetMetrics()
    assert answer.body == b"salver_up 1\n"
    assert answer.content_type == "text/plain; version=0.0.4; charset=utf-8"


def test_a_key_is_made_from_json(wire: NativeWire, ordinary_request: Ask) -> None:
    route = route_of(wire, "/api/v1/keys", "POST")
    body = b'{"label":"ci","role":"viewer","models":["m"],"expires_in_days":null,"requests_per_second":5}'
    request = ordinary_request("POST", "/api/v1/keys", body=body, headers=JSON)

    assert route.read(request) == access.CreateKey(
        label="ci", role="viewer", models=("m",), expires_in_days=None, requests_per_second=5.0
    )


def test_a_key_expires_unless_asked_otherwise(wire: NativeWire, ordinary_request: Ask) -> None:
    headers = [("content-type", "application/json; charset=utf-8")]
    request = ordinary_request("POST", "/api/v1/keys", body=b'{"label":"a","role":"b"}', headers=headers)

    assert route_of(wire, "/api/v1/keys", "POST").read(request).expires_in_days == 90.0


def test_a_new_key_is_shown_once_and_kept_nowhere(wire: NativeWire, ordinary_request: Ask) -> None:
    request = ordinary_request("POST", "/api/v1/keys")

    answer = route_of(wire, "/api/v1/keys", "POST").write(access.CreatedKey(key="slv_secret", record=RECORD), request)

    assert answer.status == 201
    assert document(answer) == KEY | {"key": "slv_secret"}
    assert ("Cache-Control", "no-store") in answer.headers


@pytest.mark.parametrize(
    "headers",
    [[], [("content-type", "text/plain")], [("content-type", "application/x-www-form-urlencoded")]],
)
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_only_json_changes_state(wire: NativeWire, ordinary_request: Ask, headers: Any, method: str) -> None:
    """A form of a web page cannot say that it is JSON, so no page can make or revoke a key unasked."""
    path = "/api/v1/keys" if method == "POST" else "/api/v1/keys/{id}"
    request = ordinary_request(method, path, body=b'{"label":"a","role":"b"}', headers=headers, id="k1")

    with pytest.raises(RequestError) as caught:
        route_of(wire, path, method).read(request)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'{"label":"a"}', b'{"label":1,"role":"b"}', b'{"label":"a","role":"b","admin":true}', b'{"label":'],
)
def test_a_malformed_key_request_says_what_is_wrong(wire: NativeWire, ordinary_request: Ask, body: bytes) -> None:
    request = ordinary_request("POST", "/api/v1/keys", body=body, headers=JSON)

    with pytest.raises(RequestError, match="The body is not a key request: ") as caught:
        route_of(wire, "/api/v1/keys", "POST").read(request)
    assert caught.value.code is Code.INVALID_INPUT


def test_keys_are_listed_without_their_digest(wire: NativeWire, ordinary_request: Ask) -> None:
    route, request = route_of(wire, "/api/v1/keys"), ordinary_request("GET", "/api/v1/keys")

    answer = route.write((RECORD,), request)

    assert route.read(request) == access.ListKeys()
    assert document(answer) == {"keys": [KEY]}
    assert b"never shown" not in answer.body


@pytest.mark.parametrize(("body", "headers"), [(b"", []), (b"{}", JSON)])
def test_a_key_is_revoked_by_its_id(wire: NativeWire, ordinary_request: Ask, body: bytes, headers: Any) -> None:
    route = route_of(wire, "/api/v1/keys/{id}", "DELETE")
    request = ordinary_request("DELETE", "/api/v1/keys/k1", body=body, headers=headers, id="k1")

    assert route.read(request) == access.RevokeKey(id="k1")
    assert document(route.write(RECORD, request)) == KEY


def test_the_audit_log_is_read_newest_first(wire: NativeWire, ordinary_request: Ask) -> None:
    route = route_of(wire, "/api/v1/audit")
    line = AuditLine(
        sequence=2,
        at=0.0,
        principal="key:k1",
        operation="keys.create",
        scope="",
        decision="denied",
        outcome="PERMISSION_DENIED",
        request_id="r",
        peer="127.0.0.1",
        detail="",
        digest="ab",
    )
    request = ordinary_request("GET", "/api/v1/audit?limit=5")

    assert route.read(request) == access.ReadAudit(limit=5)
    assert route.read(ordinary_request("GET", "/api/v1/audit")) == access.ReadAudit()
    (first, second) = document(route.write((line, line), request))["lines"]
    assert first == second
    assert (first["sequence"], first["at"], first["decision"]) == (2, "1970-01-01T00:00:00Z", "denied")


@pytest.mark.parametrize("limit", ["x", "", "-1", "1.5", "²", "9" * 10])
def test_a_limit_is_a_number(wire: NativeWire, ordinary_request: Ask, limit: str) -> None:
    with pytest.raises(RequestError) as caught:
        route_of(wire, "/api/v1/audit").read(ordinary_request("GET", f"/api/v1/audit?limit={limit}"))
    assert caught.value.code is Code.INVALID_INPUT


def test_the_start_page_lists_what_answers(wire: NativeWire, ordinary_request: Ask) -> None:
    route = route_of(wire, "/")
    request = ordinary_request("GET", "/", headers=[("accept", "application/json, text/html")])
    description = server.ServerDescription(version="1.2", wires=("native", "tfserving", "later"))

    found = document(route.write(description, request))

    assert route.read(request) == server.Describe()
    assert (found["name"], found["version"], found["wires"]) == ("salver", "1.2", ["native", "tfserving", "later"])
    rows = {(row["method"], row["path"]) for row in found["addresses"]}
    assert ("POST", "/api/v1/models/{model}/predict") in rows
    assert ("POST", "/v1/models/{model}:predict") in rows
    assert ("POST", "/predictions/{model}") not in rows
    assert {(route.methods[0], route.path) for route in wire.routes} <= rows
    assert not any(method == "HEAD" for method, _ in rows)
    assert all(row["summary"] for row in found["addresses"])


def test_a_browser_gets_a_page_without_scripts(wire: NativeWire, ordinary_request: Ask) -> None:
    request = ordinary_request("GET", "/", headers=[("accept", "text/html,application/xhtml+xml,*/*;q=0.8")])
    evil = server.ServerDescription(version="<script>alert(1)</script>", wires=("native", '"><img>'))

    answer = route_of(wire, "/").write(evil, request)

    assert answer.content_type == "text/html; charset=utf-8"
    assert b"<script" not in answer.body
    assert b"<img" not in answer.body
    assert b"&lt;script&gt;" in answer.body
    assert b"/api/v1/models/{model}/predict" in answer.body
    headers = dict(answer.headers)
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Request-Id"] == "request-1"


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
def test_a_program_gets_json(wire: NativeWire, ordinary_request: Ask, accept: str | None) -> None:
    request = ordinary_request("GET", "/", headers=[] if accept is None else [("accept", accept)])

    answer = route_of(wire, "/").write(server.ServerDescription(version="1", wires=()), request)

    assert answer.content_type == "application/json"


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("/", True),
        ("/api/v1/nothing", True),
        ("/api/v2", True),
        ("/health/else", True),
        ("/metrics", True),
        ("/openapi.json", True),
        ("/readyz", True),
        ("/v1/models/m", False),
        ("/ping", False),
        ("/apiary", False),
    ],
)
def test_the_wire_knows_its_addresses(wire: NativeWire, path: str, is_ours: bool) -> None:
    assert wire.owns(path) is is_ours


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("PUT", "/api/v1/keys", "GET, HEAD, POST"),
        ("GET", "/api/v1/keys/k1", "DELETE"),
        ("GET", "/api/v1/models/m/predict", "POST"),
        ("PUT", "/api/v1/models/m/versions/3/predict", "POST"),
        ("PATCH", "/api/v1/models/a.b", "DELETE, GET, HEAD"),
        ("POST", "/", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_with_the_right_ones(
    wire: NativeWire, ordinary_request: Ask, method: str, path: str, allow: str
) -> None:
    answer = wire.unmatched(ordinary_request(method, path))

    assert answer.status == 405
    assert dict(answer.headers)["Allow"] == allow
    assert document(answer)["error"]["code"] == "METHOD_NOT_ALLOWED"


def test_an_unknown_address_is_404(wire: NativeWire, ordinary_request: Ask) -> None:
    answer = wire.unmatched(ordinary_request("GET", "/api/v1/modelz"))

    assert answer.status == 404
    assert document(answer)["error"]["message"] == "Nothing answers at /api/v1/modelz."


def test_errors_of_ordinary_addresses_have_the_one_shape(wire: NativeWire, ordinary_request: Ask) -> None:
    answer = wire.error(RequestError(Code.PERMISSION_DENIED, "No."), ordinary_request("GET", "/api/v1/keys"))

    assert answer.status == 403
    assert document(answer)["error"]["request_id"] == "request-1"
    assert "Allow" not in dict(answer.headers)
