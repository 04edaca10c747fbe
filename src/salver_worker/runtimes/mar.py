"""A model archive of MXNet Model Server or TorchServe, unpacked: handlers get the data and the context they know.

Two differences on purpose: an exception in `initialize` fails the load, and a body that is not the JSON or text that it
claims to be is refused as the caller's error instead of killing the worker. (TorchServe hands such JSON on as bytes.)
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from typing import Any, Dict, List, Mapping, NamedTuple, Sequence, Tuple, Union

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, PredictFailure, is_out_of_memory
from salver_worker.runtimes.base import BodyRequest, BodyResponse, LoadRequest, signature
from salver_worker.runtimes.code import enter_folder
from salver_worker.runtimes.context import CONTENT_TYPE, Context, RequestProcessor
from salver_worker.runtimes.envelopes import enveloped
from salver_worker.runtimes.handlers import Handler, load_handler, load_service
from salver_worker.runtimes.intermediate import FrontendSocket, Intermediate

MANIFEST = os.path.join("MAR-INF", "MANIFEST.json")
LEGACY_MANIFEST = "MANIFEST.json"
"""Of MMS 0.4, among the archive's files."""
SERVER_NAME = "MMS"
SERVER_VERSIONS = {"mms": "1.1.11", "torchserve": "0.12.0"}
FAILED = 503
OUT_OF_RESOURCES = 507
TOLD = "url_path"
"""A header that only TorchServe's protocol adds to a request."""


class ServerWords(NamedTuple):
    """How the server whose protocol is spoken treats a handler."""

    dialect: str = "mms"
    decodes: bool = True
    """Whether JSON and text reach the handler decoded."""
    handler: str = ""
    """Of archives that name none."""
    envelope: str = ""
    metrics: Mapping[str, Any] = {}
    """What the server's metrics.yaml declares."""

    @classmethod
    def read(cls, words: Mapping[str, Any]) -> ServerWords:
        return cls(
            words.get("dialect") or "mms",
            words.get("decode_input") is not False,
            words.get("handler") or "",
            words.get("envelope") or "",
            words.get("metrics") or {},
        )


PLAIN = ServerWords()


def load(request: LoadRequest) -> Archive:
    folder = os.path.abspath(request.path)
    server = ServerWords.read(request.manifest.get("server") or {})
    manifest = read_manifest(folder)
    model = manifest.get("model", {})
    enter_folder(folder)
    _offer_shims()
    context = Context(
        model_name=request.model,
        manifest=manifest,
        system_properties=_system_properties(folder, request.batch_rows, server),
        model_yaml_config=dict(request.manifest.get("archive_config") or {}),
    )
    context.cl_socket = FrontendSocket(context)
    envelope = str(model.get("envelope") or server.envelope)
    context.metrics.declare(server.metrics)
    name = request.manifest.get("handler") or model.get("handler") or server.handler
    service = None if name else manifest.get("Model", {}).get("Service")
    if service:
        handler = enveloped(load_service(service, folder, context), envelope)
        return Archive(handler, context, server, {"service": str(service)})
    if not name:
        raise LoadFailure(
            "nothing names the archive's handler",
            fix="Name one as model.handler in %s, or as handler in model.toml." % MANIFEST,
        )
    handler = enveloped(load_handler(name, folder, context), envelope)
    return Archive(handler, context, server, {"handler": str(name)})


def read_manifest(folder: str) -> Dict[str, Any]:
    """The archive's manifest; an empty one when it has none, which is legal when a handler is named elsewhere."""
    name = MANIFEST if os.path.exists(os.path.join(folder, MANIFEST)) else LEGACY_MANIFEST
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except ValueError as error:
        raise LoadFailure("%s is not JSON: %s" % (name, error)) from error
    if not isinstance(manifest, dict):
        raise LoadFailure("%s is not a JSON object" % name)
    return manifest


def _system_properties(folder: str, batch_size: int, server: ServerWords) -> Dict[str, Any]:
    return {
        "model_dir": folder,
        "gpu_id": None,
        "batch_size": batch_size,
        "server_name": SERVER_NAME,  # TorchServe says so too
        "server_version": SERVER_VERSIONS[server.dialect],
        "limit_max_image_pixels": True,
    }


def _offer_shims() -> None:
    """Let `from mms.service import PredictionException` and the like find something where the real package is not."""
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shims"))


class Archive:
    payload = "body"
    has_batch_dimension = False

    def __init__(self, handler: Handler, context: Context, server: ServerWords, details: Dict[str, str]) -> None:
        self._handler = handler
        self._context = context
        self._server = server
        self.signature = signature([], [])
        self.runtime_version = "Python " + platform.python_version()
        self.details = details

    def predict_bodies(self, requests: Sequence[BodyRequest]) -> List[BodyResponse]:
        """Raises PredictFailure with the status and the words that MMS answers (mms/service.py)."""
        data = [read_parts(request.parts, self._server, is_lenient=TOLD in request.headers) for request in requests]
        processors = [RequestProcessor(_request_header(request)) for request in requests]
        began = time.monotonic()
        intermediate = Intermediate(requests, processors, _response)
        ids = {index: request.id for index, request in enumerate(requests)}
        self._context.begin(ids, processors, lambda place, answer: intermediate.send(place, _encoded(answer)))
        try:
            answers = self._call(data)
            self._context.metrics.note_prediction(round((time.monotonic() - began) * 1000, 2))
        finally:
            self._context.end()
            for line in self._context.metrics.lines():
                print(line)
        return [intermediate.last(place, answer) for place, answer in enumerate(answers)]

    def _call(self, data: List[Dict[str, Any]]) -> List[Any]:
        try:
            answers = self._handler(data, self._context)
        except (InputError, PredictFailure):
            raise
        except Exception as error:
            raise _failure(error) from error
        if not isinstance(answers, list):
            raise PredictFailure("Invalid model predict output", status=FAILED)
        if len(answers) != len(data):
            raise PredictFailure("number of batch response mismatched", status=FAILED)
        return [_encoded(answer) for answer in answers]

    def measures(self) -> List[Any]:
        """What the handler counted so far."""
        return self._context.metrics.measures.rows()

    def close(self) -> None:
        """Nothing to give back."""


def read_parts(
    parts: Sequence[Tuple[str, str, memoryview]], server: ServerWords = PLAIN, is_lenient: bool = False
) -> Dict[str, Any]:
    """One request as a handler sees it. Of parts with the same name the last one counts.

    `is_lenient`: JSON or text that is none is bytes, as TorchServe has it; else the caller is told.
    """
    is_lenient = is_lenient or server.dialect == "torchserve"
    return {name: _decoded(name, content_type, raw, server, is_lenient) for name, content_type, raw in parts}


def _decoded(name: str, content_type: str, raw: memoryview, server: ServerWords, is_lenient: bool) -> Any:
    kind = content_type.partition(";")[0].strip()
    if not server.decodes:
        return bytearray(raw)
    try:
        if kind == "application/json":
            return json.loads(bytes(raw))
        return bytes(raw).decode() if kind.startswith("text") else bytearray(raw)
    except (ValueError, RecursionError) as error:
        if is_lenient:
            print("salver_worker: the part %s is not valid %s; the handler gets its bytes" % (name, kind))
            return bytearray(raw)
        raise InputError("the part %s is not valid %s" % (name, kind)) from error


def _request_header(request: BodyRequest) -> Mapping[str, Any]:
    """The client's headers, and the content type of each part under the part's name."""
    header: Dict[str, Any] = dict(request.headers)
    for name, content_type, _ in request.parts:
        header[name] = {CONTENT_TYPE: content_type}
    return header


def _failure(error: Exception) -> PredictFailure:
    """MMS's table of answers. A PredictionException of any package counts by its name and its two attributes."""
    if type(error).__name__ == "PredictionException":
        return PredictFailure(str(getattr(error, "message", error)), status=int(getattr(error, "error_code", 500)))
    if is_out_of_memory(error) or "CUDA" in str(error):
        return PredictFailure("Out of resources", code="OUT_OF_MEMORY", status=OUT_OF_RESOURCES)
    return PredictFailure("Prediction failed", status=FAILED)


def _encoded(answer: Any) -> Union[bytes, bytearray]:
    if isinstance(answer, (bytes, bytearray)):
        return answer
    if isinstance(answer, str):
        return answer.encode()
    try:
        return json.dumps(answer, indent=2).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise PredictFailure("Unsupported model output data type.", status=FAILED) from error


def _response(data: Union[bytes, bytearray], processor: RequestProcessor) -> BodyResponse:
    headers = {str(key): str(value) for key, value in processor.get_response_headers().items()}
    return BodyResponse(
        data=data,
        content_type=headers.pop(CONTENT_TYPE, None),
        status=processor.get_response_status_code(),
        phrase=processor.get_response_status_phrase() or "",
        headers=headers,
    )
