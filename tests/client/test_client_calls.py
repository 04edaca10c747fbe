from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest

from salver_client import (
    AuditLine,
    CreatedKey,
    Model,
    Prediction,
    Ranked,
    Readiness,
    SalverClientError,
    TensorSpec,
)

Open = Callable[..., Any]

KEY = {
    "id": "k1",
    "label": "ci",
    "role": "viewer",
    "models": ["m"],
    "created_at": "2026-01-02T03:04:05Z",
    "created_by": "admin",
    "expires_at": None,
    "revoked_at": "2026-01-02T03:04:05.5Z",
    "requests_per_second": None,
    "field_of_a_newer_server": 1,
}
VERSION = {
    "version": 3,
    "state": "READY",
    "runtime": "onnx",
    "replicas_ready": 1,
    "replicas_wanted": 1,
    "reason": "",
}
MODEL = {"name": "iris", "default_version": 3, "labels": {"stable": 3}, "versions": [VERSION]}
ANSWER = {"model": "m", "version": 2, "outputs": {"y": [[1.5, None]]}}


def answering(document: Any, status: int = 200, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: httpx.Response(status, json=document, headers=named)


def again(response: httpx.Response) -> httpx.Response:
    """The same answer for another client: httpx binds a response to the client that read it."""
    return httpx.Response(response.status_code, headers=response.headers, content=response.content)


def refusing(code: str, status: int, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return answering(
        {"error": {"code": code, "message": "Why.", "fix": "How.", "request_id": "r-9"}}, status, **headers
    )


def test_a_prediction_is_asked_and_read(session: Open) -> None:
    opened = session(
        answering(ANSWER, X_Request_Id="r-1", Salver_Understood="inputs"), key="slv_k", url="https://server/base/"
    )

    prediction = opened.predict("m", {"x": [[1]]})

    (request,) = opened.requests
    assert (request.method, str(request.url)) == ("POST", "https://server/base/api/v1/models/m/predict")
    assert request.headers["authorization"] == "Bearer slv_k"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["accept"] == "application/json"
    assert request.content == b'{"inputs":{"x":[[1]]}}'
    assert prediction == Prediction(
        model="m",
        version=2,
        outputs={"y": [[1.5, None]]},
        content_type="application/json",
        understood="inputs",
        request_id="r-1",
    )


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"version": 4}, "/api/v1/models/a%20b%2Fc/versions/4/predict"),
        ({"label": "can/ary"}, "/api/v1/models/a%20b%2Fc/labels/can%2Fary/predict"),
        ({"signature": "s&1"}, "/api/v1/models/a%20b%2Fc/predict?signature=s%261"),
    ],
)
def test_versions_labels_and_signatures_are_part_of_the_address(
    session: Open, options: dict[str, Any], path: str
) -> None:
    opened = session(answering(ANSWER))

    opened.predict("a b/c", [1], **options)

    assert opened.requests[0].url.raw_path.decode() == path


def test_a_version_and_a_label_do_not_go_together(session: Open) -> None:
    with pytest.raises(SalverClientError, match="not both"):
        session(answering(ANSWER)).predict("m", [1], version=1, label="a")


def test_a_deadline_is_sent_and_waited_for(session: Open) -> None:
    opened = session(answering(ANSWER), timeout=2.0)

    opened.predict("m", [1], deadline_s=0.25)
    opened.predict("m", [1], deadline_s=60)

    short, long = opened.requests
    assert short.headers["salver-deadline-ms"] == "250"
    assert long.headers["salver-deadline-ms"] == "60000"
    assert short.extensions["timeout"]["read"] == 2.0
    assert long.extensions["timeout"]["read"] == 61.0


def test_arrays_and_forms_travel_as_they_are(session: Open) -> None:
    opened = session(answering(ANSWER))

    opened.predict("m", np.ones(2, "f4"))
    opened.predict("m", {"image": b"\xff\xd8\xff", "k": [1]})

    array, form = opened.requests
    assert array.headers["content-type"] == "application/x-npy"
    assert array.content.startswith(b"\x93NUMPY")
    assert form.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert b'name="image"; filename="data"\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff' in form.content
    assert b'name="k"\r\nContent-Type: application/json\r\n\r\n[1]' in form.content


def test_a_ranking_is_typed(session: Open) -> None:
    answer = ANSWER | {"ranking": [[{"class": "cat", "probability": 0.9}, {"class": "dog", "probability": None}]]}

    prediction = session(answering(answer)).predict("m", [1])

    assert prediction.ranking == ((Ranked(label="cat", probability=0.9), Ranked(label="dog", probability=None)),)


def test_what_a_model_s_own_code_wrote_is_bytes(session: Open) -> None:
    def handler(_: httpx.Request) -> httpx.Response:
        headers = {"Content-Type": "text/csv", "Salver-Understood": "body", "Salver-Version": "7"}
        return httpx.Response(200, content=b"a,b", headers=headers)

    prediction = session(handler).predict("m", b"x")

    assert (prediction.body, prediction.content_type, prediction.version) == (b"a,b", "text/csv", 7)
    assert prediction.outputs == {}


def test_outputs_are_taken_by_name_or_alone() -> None:
    one = Prediction(model="m", version=1, outputs={"y": [[1, None]]})
    two = Prediction(model="m", version=1, outputs={"a": [1, 2], "b": ["x", None]})

    assert one.output() == one.output("y") == [[1, None]]
    assert np.array_equal(one.array(), [[1.0, np.nan]], equal_nan=True)
    assert two.array("a").dtype == np.int64
    assert two.array("b").tolist() == ["x", None]
    with pytest.raises(SalverClientError, match="exactly one output"):
        two.output()
    with pytest.raises(SalverClientError, match="no output 'z'"):
        two.output("z")


def test_models_are_listed(session: Open) -> None:
    (model,) = session(answering({"models": [MODEL]})).models()

    assert (model.name, model.default_version, model.labels) == ("iris", 3, {"stable": 3})
    assert model.is_ready
    assert model.versions[0].is_ready
    assert model.versions[0].signatures == {}


def test_a_model_tells_all_there_is(session: Open) -> None:
    spec = {"name": "x", "datatype": "FP32", "shape": [-1, 4]}
    full = VERSION | {
        "replicas_ready": 0,
        "fix": "Install x.",
        "signatures": {"serving_default": {"inputs": [spec], "outputs": [], "ranking": None}},
        "replicas": [
            {
                "id": "a",
                "pid": None,
                "state": "DEAD",
                "started_at": "1970-01-01T00:00:01Z",
                "restarts": 2,
                "rss_bytes": 5,
                "reason": "killed",
            }
        ],
        "log_tail": ["line"],
    }
    opened = session(answering(MODEL | {"versions": [full]}))

    model = opened.model("iris")

    assert isinstance(model, Model)
    assert not model.is_ready
    (version,) = model.versions
    signature = version.signatures["serving_default"]
    assert signature.inputs == (TensorSpec(name="x", datatype="FP32", shape=(-1, 4)),)
    assert not signature.has_ranking
    assert version.replicas[0].started_at == datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert (version.fix, version.log_tail) == ("Install x.", ("line",))
    assert opened.requests[0].url.path == "/api/v1/models/iris"


@pytest.mark.parametrize("status", [200, 503])
def test_readiness_is_an_answer_either_way(session: Open, status: int) -> None:
    document = {"ready": status == 200, "reasons": ["m is STARTING"], "replicas_ready": 0, "replicas_wanted": 1}
    opened = session(answering(document, status), retries=3)

    assert opened.readiness() == Readiness(
        is_ready=status == 200, reasons=("m is STARTING",), replicas_ready=0, replicas_wanted=1
    )
    assert opened.is_ready() is (status == 200)
    assert opened.pauses == []


def test_metrics_are_text(session: Open) -> None:
    opened = session(lambda _: httpx.Response(200, text="salver_up 1\n"))

    assert opened.metrics() == "salver_up 1\n"


def test_a_key_is_made(session: Open) -> None:
    opened = session(answering(KEY | {"key": "slv_secret"}, 201))

    created = opened.create_key("ci", "viewer", models=("m",), expires_in_days=None)

    (request,) = opened.requests
    assert (request.method, request.url.path) == ("POST", "/api/v1/keys")
    assert request.headers["content-type"] == "application/json"
    assert httpx.Response(200, content=request.content).json() == {
        "label": "ci",
        "role": "viewer",
        "models": ["m"],
        "expires_in_days": None,
        "requests_per_second": None,
    }
    assert isinstance(created, CreatedKey)
    assert created.key == "slv_secret"
    assert "slv_secret" not in repr(created)
    assert created.record.created_at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert created.record.revoked_at == created.record.created_at + timedelta(seconds=0.5)
    assert created.record.expires_at is None


def test_keys_are_listed_and_revoked(session: Open) -> None:
    listing, revoking = session(answering({"keys": [KEY, KEY]})), session(answering(KEY))

    first, second = listing.keys()
    assert first == second
    assert first.id == "k1"
    assert revoking.revoke_key("k/1").models == ("m",)
    assert (revoking.requests[0].method, revoking.requests[0].url.raw_path) == ("DELETE", b"/api/v1/keys/k%2F1")


def test_the_audit_log_is_read(session: Open) -> None:
    line = {
        "sequence": 1,
        "at": "2026-01-02T03:04:05Z",
        "principal": "key:k1",
        "operation": "keys.create",
        "scope": "",
        "decision": "allowed",
        "outcome": "OK",
        "request_id": "r",
        "peer": "::1",
        "detail": "",
        "digest": "ab",
    }
    opened = session(answering({"lines": [line]}))

    (read,) = opened.audit(limit=7)

    assert isinstance(read, AuditLine)
    assert (read.sequence, read.at.year, read.decision) == (1, 2026, "allowed")
    assert str(opened.requests[0].url) == "http://server:1/api/v1/audit?limit=7"


def test_an_error_says_what_the_server_said(session: Open) -> None:
    opened = session(refusing("OVERLOADED", 503, Retry_After="2"))

    with pytest.raises(SalverClientError) as caught:
        opened.predict("m", [1])

    error = caught.value
    assert (error.code, error.message, error.fix, error.request_id) == ("OVERLOADED", "Why.", "How.", "r-9")
    assert (error.status, error.retry_after) == (503, 2.0)
    assert str(error) == "Why. [OVERLOADED] How."
    assert len(opened.requests) == 1


@pytest.mark.parametrize("body", [b"<html>Bad gateway</html>", b"[]", b'{"error": "text"}', b""])
def test_an_error_of_something_in_between_is_an_error_too(session: Open, body: bytes) -> None:
    opened = session(
        lambda _: httpx.Response(502, content=body, headers={"X-Request-Id": "r-2", "Retry-After": "Fri, 31 Dec 1999"})
    )

    with pytest.raises(SalverClientError) as caught:
        opened.models()

    error = caught.value
    assert (error.code, error.status, error.request_id, error.retry_after) == ("HTTP_502", 502, "r-2", None)
    assert error.message


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, json=[]),
        httpx.Response(200, json={"model": "m"}),
        httpx.Response(200, json={"model": "m", "version": 1, "outputs": {}, "ranking": [[1]]}),
        httpx.Response(200, content=b"x", headers={"Salver-Understood": "body"}),
    ],
)
def test_an_answer_of_another_kind_is_not_taken_for_one(session: Open, response: httpx.Response) -> None:
    with pytest.raises(SalverClientError) as caught:
        session(lambda _: again(response)).predict("m", [1])
    assert caught.value.code == "ANSWER_NOT_UNDERSTOOD"


def test_a_server_that_cannot_be_reached_is_named(session: Open) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    opened = session(handler)

    with pytest.raises(SalverClientError, match="http://server:1 cannot be reached: refused") as caught:
        opened.models()
    assert (caught.value.code, caught.value.status) == ("CONNECTION_FAILED", 0)
    assert opened.is_ready() is False


def test_a_server_that_does_not_answer_in_time_is_named(session: Open) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("slow", request=request)

    with pytest.raises(SalverClientError) as caught:
        session(handler).predict("m", [1])
    assert caught.value.code == "TIMED_OUT"


def test_is_ready_does_not_hide_a_refusal(session: Open) -> None:
    with pytest.raises(SalverClientError) as caught:
        session(refusing("INTERNAL", 500)).is_ready()
    assert caught.value.code == "INTERNAL"
