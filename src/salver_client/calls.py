"""Each thing the client can ask: how the request is made and what the answer becomes. No sending here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from salver_client.artefacts import Artefact
from salver_client.errors import SalverClientError
from salver_client.inputs import Form, Inputs, Piece, encode_inputs
from salver_client.results import AuditLine, CreatedKey, Key, Model, Prediction, Readiness

Result = TypeVar("Result")

JSON = "application/json"
REFUSED_BEFORE_THE_MODEL = frozenset({"OVERLOADED", "MODEL_NOT_READY", "SHUTTING_DOWN"})


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise not_understood(self) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[Result]):
    """One request, and the reading of its answer: `parse` gets those below 400, and those of an `accepted` status."""

    method: str
    path: str
    parse: Callable[[Reply], Result]
    body: Piece | Form | Artefact | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    accepted: frozenset[int] = frozenset()
    is_read: bool = False
    """Whether it changes nothing, so that it may always be asked again."""
    may_repeat_if_refused: bool = False
    """Whether it may be asked again when it was refused before anything was done."""
    at_least_s: float = 0.0
    """The least time to wait for the answer, whatever the client's own timeout."""

    def result(self, reply: Reply) -> Result:
        """Raises SalverClientError when the answer is an error or makes no sense."""
        if reply.status >= 400 and reply.status not in self.accepted:
            raise error_of(reply)
        try:
            return self.parse(reply)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise not_understood(reply) from error

    def pause_before_retry(self, reply: Reply) -> float | None:
        """Seconds to wait before the same request may be sent again; None when it may not."""
        if reply.status != 503 or reply.status in self.accepted:
            return None
        error = error_of(reply)
        is_safe = self.is_read or (self.may_repeat_if_refused and error.code in REFUSED_BEFORE_THE_MODEL)
        return error.retry_after if is_safe else None


def error_of(reply: Reply) -> SalverClientError:
    """What an answer of 400 and above says, whoever wrote it."""
    detail: Any = None
    try:
        detail = json.loads(reply.body)["error"]
    except (ValueError, TypeError, KeyError):
        detail = None
    if not isinstance(detail, dict):
        detail = {"message": reply.body[:200].decode("utf-8", "replace").strip()}
    return SalverClientError(
        str(detail.get("code") or f"HTTP_{reply.status}"),
        str(detail.get("message") or "The server gave no reason."),
        fix=str(detail.get("fix") or ""),
        request_id=str(detail.get("request_id") or reply.headers.get("x-request-id", "")),
        retry_after=seconds(reply.headers.get("retry-after")),
        status=reply.status,
    )


def seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; its other form, a date, is not used by this server."""
    return float(text) if text is not None and text.isascii() and text.isdigit() else None


def not_understood(reply: Reply) -> SalverClientError:
    return SalverClientError(
        "ANSWER_NOT_UNDERSTOOD",
        f"The answer (status {reply.status}) is not what this call expects.",
        fix="Check that the address is a Salver server, and that client and server are of about the same age.",
        request_id=reply.headers.get("x-request-id", ""),
        status=reply.status,
    )


# Predictions


def predict(
    model: str,
    inputs: Inputs,
    *,
    version: int | None,
    label: str | None,
    signature: str,
    deadline_s: float | None,
    accept: str = JSON,
) -> Call[Prediction]:
    headers = {"Accept": accept}
    if deadline_s is not None:
        headers["Salver-Deadline-Ms"] = f"{deadline_s * 1000:g}"
    query = f"?signature={quote(signature, safe='')}" if signature else ""

    def parse(reply: Reply) -> Prediction:
        return prediction_of(reply, model)

    return Call(
        method="POST",
        path=model_path(model, version, label) + "/predict" + query,
        body=encode_inputs(inputs),
        headers=headers,
        parse=parse,
        may_repeat_if_refused=True,
        at_least_s=0.0 if deadline_s is None else deadline_s + 1.0,
    )


def model_path(model: str, version: int | None = None, label: str | None = None) -> str:
    if version is not None and label is not None:
        raise SalverClientError("INVALID_INPUT", "Name a version or a label, not both.")
    path = f"/api/v1/models/{quote(model, safe='')}"
    if version is not None:
        return f"{path}/versions/{version}"
    return path if label is None else f"{path}/labels/{quote(label, safe='')}"


def prediction_of(reply: Reply, model: str) -> Prediction:
    understood, request_id = reply.headers.get("salver-understood", ""), reply.headers.get("x-request-id", "")
    if understood != "body":
        return Prediction.of(reply.json(), understood=understood, request_id=request_id)
    return Prediction(
        model=model,
        version=int(reply.headers["salver-version"]),
        body=reply.body,
        content_type=reply.headers.get("content-type", ""),
        understood=understood,
        request_id=request_id,
    )


# What is served


def models() -> Call[tuple[Model, ...]]:
    return read("/api/v1/models", lambda json: tuple(map(Model.of, json["models"])))


def model(name: str) -> Call[Model]:
    return read(model_path(name), Model.of)


def readiness() -> Call[Readiness]:
    return read("/health/ready", Readiness.of, accepted=frozenset({503}))


def metrics() -> Call[str]:
    return Call(method="GET", path="/metrics", parse=lambda reply: reply.body.decode(), is_read=True)


# Keys


def create_key(
    label: str,
    role: str,
    *,
    models: Sequence[str],
    expires_in_days: float | None,
    requests_per_second: float | None,
) -> Call[CreatedKey]:
    document = {
        "label": label,
        "role": role,
        "models": list(models),
        "expires_in_days": expires_in_days,
        "requests_per_second": requests_per_second,
    }
    return Call(
        method="POST",
        path="/api/v1/keys",
        body=Piece(JSON, json.dumps(document).encode()),
        parse=lambda reply: CreatedKey.of(reply.json()),
    )


def keys() -> Call[tuple[Key, ...]]:
    return read("/api/v1/keys", lambda json: tuple(map(Key.of, json["keys"])))


def revoke_key(id: str) -> Call[Key]:
    return Call(method="DELETE", path=f"/api/v1/keys/{quote(id, safe='')}", parse=lambda reply: Key.of(reply.json()))


def audit(limit: int) -> Call[tuple[AuditLine, ...]]:
    return read(f"/api/v1/audit?limit={limit}", lambda json: tuple(map(AuditLine.of, json["lines"])))


def read(path: str, build: Callable[[Any], Result], accepted: frozenset[int] = frozenset()) -> Call[Result]:
    """A GET whose answer is JSON."""
    return Call(
        method="GET",
        path=path,
        headers={"Accept": JSON},
        parse=lambda reply: build(reply.json()),
        accepted=accepted,
        is_read=True,
    )
