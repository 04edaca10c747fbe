"""The two servers that speak this protocol, as rows: what they answer where they differ. Pure.

Texts may name {model}, {version} (as the server calls it), {workers}, {message} and {fix}.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from salver.errors import Code


class Row(NamedTuple):
    """`text` may name {message}, {fix}, {model} and {version}; `{message} {fix}` where the original has no words."""

    status: int
    type: str
    text: str = "{message} {fix}"


NOT_FOUND = "Requested resource is not found, please refer to API document."
NOT_ALLOWED = "Requested method is not allowed, please refer to API document."

BAD_REQUEST = "BadRequestException"
INTERNAL = "InternalServerException"
INVALID_KEY = "InvalidKeyException"
INVALID_MODEL = "InvalidModelException"
NO_SUCH_MODEL = "ModelNotFoundException"
NO_SUCH_VERSION = "ModelVersionNotFoundException"
UNAVAILABLE = "ServiceUnavailableException"

_MMS_NO_WORKER = "No worker is available to serve request for model: {model}. Consider increasing job queue size."
_TS_NO_WORKER = (
    'Model "{model}"{version_word} has no worker to serve inference request. Please use scale workers API to add '
    "workers. If this is a sequence inference, please check if it is closed, or expired; or exceeds "
    "maxSequenceJobQueueSize"
)
_TS_TOKEN = "Token Authorization failed. Token either incorrect, expired, or not provided correctly"  # noqa: S105
_NO_VERSION = "Model version: {version} does not exist for model: {model}"

_ROWS: dict[Code, Row] = {
    Code.INVALID_INPUT: Row(400, BAD_REQUEST),
    Code.MODEL_NOT_FOUND: Row(404, NO_SUCH_MODEL, "Model not found: {model}"),
    Code.VERSION_NOT_FOUND: Row(404, NO_SUCH_VERSION, _NO_VERSION),
    Code.LABEL_NOT_FOUND: Row(404, NO_SUCH_VERSION),
    Code.SIGNATURE_NOT_FOUND: Row(400, BAD_REQUEST),
    Code.MODEL_NOT_READY: Row(503, UNAVAILABLE, _MMS_NO_WORKER),
    Code.ROUTE_NOT_FOUND: Row(404, "ResourceNotFoundException", NOT_FOUND),
    Code.METHOD_NOT_ALLOWED: Row(405, "MethodNotAllowedException", "{message}"),
    Code.PAYLOAD_TOO_LARGE: Row(413, BAD_REQUEST),
    Code.UNSUPPORTED_MEDIA_TYPE: Row(400, BAD_REQUEST),
    Code.NOT_ACCEPTABLE: Row(406, BAD_REQUEST),
    Code.UNAUTHENTICATED: Row(401, INVALID_KEY),
    Code.PERMISSION_DENIED: Row(403, INVALID_KEY),
    Code.QUOTA_EXCEEDED: Row(429, UNAVAILABLE),
    Code.OVERLOADED: Row(503, UNAVAILABLE, _MMS_NO_WORKER),
    Code.SHUTTING_DOWN: Row(503, UNAVAILABLE),
    Code.DEADLINE_EXCEEDED: Row(408, "RequestTimeoutException"),
    Code.CANCELLED: Row(503, UNAVAILABLE),
    Code.WORKER_DIED: Row(500, INTERNAL, "Worker died."),
    Code.MODEL_ERROR: Row(503, INTERNAL, "{message}"),
    Code.OUTPUT_INVALID: Row(503, INTERNAL, "{message}"),
    Code.OUT_OF_MEMORY: Row(507, INTERNAL, "Out of resources"),
    Code.CONFLICT: Row(409, "ConflictStatusException"),
    Code.LOAD_FAILED: Row(500, INTERNAL),
    Code.FORMAT_UNKNOWN: Row(400, INVALID_MODEL),
    Code.MANIFEST_INVALID: Row(400, INVALID_MODEL),
    Code.EXAMPLE_MISMATCH: Row(400, INVALID_MODEL),
    Code.ENVIRONMENT_BROKEN: Row(500, INTERNAL),
    Code.SETTINGS_INVALID: Row(500, INTERNAL),
    Code.PORT_TAKEN: Row(500, INTERNAL),
    Code.DATA_DIRECTORY_LOCKED: Row(500, INTERNAL),
    Code.STATE_DAMAGED: Row(500, INTERNAL),
    Code.INTERNAL: Row(500, INTERNAL),
}


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two servers."""

    name: str
    title: str
    """Of the description of its API."""
    rows: Mapping[Code, Row]
    """The status, the Java exception and the text of each error."""
    has_versions: bool
    """Whether a model may have several versions, each named by its archive; if not, what follows a model's name in an
    address is ignored unless it is digits."""
    has_parts: bool
    """Whether a handler may send intermediate answers."""
    response_timeout_unit_s: int
    """Of the parameter `response_timeout` in the query; in a JSON body it is always seconds."""
    unhealthy_status: int
    """Of a ping when workers are missing."""
    partial_status: int
    partial_phrase: str | None
    """When not all workers are up in time."""
    registered: str
    """Without workers."""
    registered_with_workers: str
    scaled: str
    scaled_version: str
    not_started: str
    not_in_store: str


MMS = Dialect(
    name="mms",
    title="Model Server APIs",
    rows=_ROWS,
    has_versions=False,
    has_parts=False,
    response_timeout_unit_s=60,
    unhealthy_status=200,
    partial_status=210,
    partial_phrase="Partial Success",
    registered='Model "{model}" registered',
    registered_with_workers="Workers scaled",
    scaled="Workers scaled",
    scaled_version="Workers scaled",
    not_started="Failed to start workers",
    not_in_store="Model not found in model store: {url}",
)
TORCHSERVE = Dialect(
    name="torchserve",
    title="TorchServe APIs",
    rows={
        **_ROWS,
        Code.MODEL_NOT_READY: Row(503, UNAVAILABLE, _TS_NO_WORKER),
        Code.OVERLOADED: Row(503, UNAVAILABLE, _TS_NO_WORKER),
        Code.UNAUTHENTICATED: Row(400, INVALID_KEY, _TS_TOKEN),
        Code.PERMISSION_DENIED: Row(400, INVALID_KEY),
    },
    has_versions=True,
    has_parts=True,
    response_timeout_unit_s=1,
    unhealthy_status=500,
    partial_status=206,
    partial_phrase=None,
    registered=(
        'Model "{model}" Version: {version} registered with 0 initial workers. '
        "Use scale workers API to add workers for the model."
    ),
    registered_with_workers='Model "{model}" Version: {version} registered with {workers} initial workers',
    scaled="Workers scaled to {workers} for model: {model}",
    scaled_version="Workers scaled to {workers} for model: {model}, version: {version}",
    not_started="Failed to start workers for model {model} version: {version}",
    not_in_store="Model not found at: {url}",
)
DIALECTS = {dialect.name: dialect for dialect in (MMS, TORCHSERVE)}
