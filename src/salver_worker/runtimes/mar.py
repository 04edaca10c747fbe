"""A model archive of MXNet Model Server or TorchServe, unpacked: handlers get the data and the context they know.

Two differences on purpose: an exception in `initialize` fails the load, and a body that is not the JSON or text that it
claims to be is refused as the caller's error instead of killing the worker.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
import time
from typing import Any, Dict, List, Mapping, Sequence, Tuple, Union

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, PredictFailure, is_out_of_memory
from salver_worker.runtimes.base import BodyRequest, BodyResponse, LoadRequest, signature
from salver_worker.runtimes.code import enter_folder
from salver_worker.runtimes.context import CONTENT_TYPE, Context, RequestProcessor
from salver_worker.runtimes.envelopes import enveloped
from salver_worker.runtimes.handlers import Handler, load_handler

MANIFEST = os.path.join("MAR-INF", "MANIFEST.json")
SERVER_NAME = "MMS"
SERVER_VERSION = "1.1.11"
FAILED = 503
OUT_OF_RESOURCES = 507
TOLD = "url_path"
"""A header that only TorchServe's protocol adds to a request."""


def load(request: LoadRequest) -> Archive:
    folder = os.path.abspath(request.path)
    manifest = read_manifest(folder)
    model = manifest.get("model", {})
    name = request.manifest.get("handler") or model.get("handler")
    if not name:
        raise LoadFailure("the archive's manifest names no handler", fix="Name one as model.handler in %s." % MANIFEST)
    enter_folder(folder)
    _offer_shims()
    context = Context(
        model_name=request.model,
        manifest=manifest,
        system_properties=_system_properties(folder, request.batch_rows),
        model_yaml_config=_read_config(folder, model.get("configFile")),
    )
    server = request.manifest.get("server") or {}
    envelope = str(manifest.get("model", {}).get("envelope") or server.get("envelope") or "")
    handler = enveloped(load_handler(name, folder, context), envelope)
    return Archive(handler, context, {"handler": str(name)})


def read_manifest(folder: str) -> Dict[str, Any]:
    """The archive's manifest; an empty one when it has none, which is legal when a handler is named elsewhere."""
    path = os.path.join(folder, MANIFEST)
    if not os.path.exists(path):
        return {}
    try:
        with open(path, encoding="utf-8") as file:
            manifest = json.load(file)
    except ValueError as error:
        raise LoadFailure("%s is not JSON: %s" % (MANIFEST, error)) from error
    if not isinstance(manifest, dict):
        raise LoadFailure("%s is not a JSON object" % MANIFEST)
    return manifest


def _system_properties(folder: str, batch_size: int) -> Dict[str, Any]:
    return {
        "model_dir": folder,
        "gpu_id": None,
        "batch_size": batch_size,
        "server_name": SERVER_NAME,
        "server_version": SERVER_VERSION,
        "limit_max_image_pixels": True,
    }


def _read_config(folder: str, name: Any) -> Dict[str, Any]:
    """The archive's YAML file of settings, which TorchServe hands to the handler whole."""
    if not name:
        return {}
    yaml: Any = importlib.import_module("yaml")
    with open(os.path.join(folder, os.path.basename(name)), encoding="utf-8") as file:
        return yaml.safe_load(file) or {}


def _offer_shims() -> None:
    """Let `from mms.service import PredictionException` and the like find something where the real package is not."""
    sys.path.append(os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "shims"))


class Archive:
    payload = "body"
    has_batch_dimension = False

    def __init__(self, handler: Handler, context: Context, details: Dict[str, str]) -> None:
        self._handler = handler
        self._context = context
        self.signature = signature([], [])
        self.runtime_version = "Python " + platform.python_version()
        self.details = details

    def predict_bodies(self, requests: Sequence[BodyRequest]) -> List[BodyResponse]:
        """Raises PredictFailure with the status and the words that MMS answers (mms/service.py)."""
        data = [read_parts(request.parts, is_lenient=TOLD in request.headers) for request in requests]
        processors = [RequestProcessor(_request_header(request)) for request in requests]
        began = time.monotonic()
        self._context.begin({index: request.id for index, request in enumerate(requests)}, processors)
        try:
            answers = self._call(data)
            self._context.metrics.note_prediction(round((time.monotonic() - began) * 1000, 2))
        finally:
            for line in self._context.metrics.lines():
                print(line)
        return [_response(answer, processor) for answer, processor in zip(answers, processors)]

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


def read_parts(parts: Sequence[Tuple[str, str, memoryview]], is_lenient: bool = False) -> Dict[str, Any]:
    """One request as a handler sees it. Of parts with the same name the last one counts.

    `is_lenient`: JSON or text that is none is bytes, as TorchServe has it; else the caller is told.
    """
    return {name: _decoded(name, content_type, raw, is_lenient) for name, content_type, raw in parts}


def _decoded(name: str, content_type: str, raw: memoryview, is_lenient: bool) -> Any:
    kind = content_type.partition(";")[0].strip()
    try:
        if kind == "application/json":
            return json.loads(bytes(raw))
        return bytes(raw).decode() if kind.startswith("text") else bytearray(raw)
    except (ValueError, RecursionError) as error:
        if is_lenient:
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
