"""The addresses of KServe as TorchServe has them: its handlers get the body, whatever the protocol makes of it.

Models that take tensors are left to the wires of TensorFlow Serving and Open Inference at the same port.
"""

from __future__ import annotations

from salver.operations import server
from salver.operations.base import Answer, Request, Route
from salver.types import ModelStatus, PayloadKind
from salver.wire.torchserve.answers import json_answer, pretty, usual_headers

NAME = "Torchserve"
EXTENSIONS = ("kserve", "kubeflow")
NO_VERSIONS = "Model versioning is not yet supported."


def takes_bodies(model: ModelStatus | None, has_open_inference: bool) -> bool:
    """Whether the model is a handler's; one that nobody knows counts as such where these addresses are ours."""
    if model is None:
        return has_open_inference
    infos = [version.info for version in model.versions if version.info is not None]
    return all(info.payload is PayloadKind.BODY for info in infos)


def kserve_routes() -> tuple[Route, ...]:
    """What TorchServe answers besides predictions, when its Open Inference protocol is on."""

    def row(path: str, operation: str, read: object, write: object, methods: tuple[str, ...] = ("GET",)) -> Route:
        return Route(methods=methods, path=path, operation=operation, read=read, write=write)  # type: ignore[arg-type]

    versions = "/v2/models/{model}/versions/{rest:path}"
    return (
        row("/v2/health/live", server.LIVE.name, _health, lambda _, request: json_answer({"live": True}, request)),
        row("/v2/health/ready", server.READY.name, _health, write_ready),
        row("/v2", server.DESCRIBE.name, lambda _: server.Describe(), write_server),
        row(versions, server.LIVE.name, _health, write_no_versions, ("GET", "POST")),
    )


def _health(_: Request) -> server.GetHealth:
    return server.GetHealth()


def write_ready(result: server.HealthReport, request: Request) -> Answer:
    answer = json_answer({"ready": result.is_ready}, request)
    return answer if result.is_ready else Answer(503, answer.body, headers=answer.headers)


def write_server(result: server.ServerDescription, request: Request) -> Answer:
    """With the original's spelling."""
    document = {"name": NAME, "version": result.version, "extenstion": EXTENSIONS}
    return json_answer(document, request)


def write_no_versions(_: server.HealthReport, request: Request) -> Answer:
    return Answer(501, pretty({"error": NO_VERSIONS}), headers=usual_headers(request.request_id), close=True)
