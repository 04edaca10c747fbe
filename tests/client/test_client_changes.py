"""The client's changes of what is served, before the native wire itself."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from salver.operations import models
from salver.operations.base import Request
from salver.types import (
    ModelRoute,
    ModelStatus,
    ModelVersion,
    PolicyKind,
    VersionFailure,
    VersionPolicy,
    VersionState,
    VersionStatus,
)
from salver.wire.native import NativeWire
from salver_client import How, SalverClientError

VERSION = VersionStatus(
    id=ModelVersion("m", 2),
    state=VersionState.FAILED,
    runtime="onnx",
    source="m.onnx",
    environment="python",
    replicas_wanted=1,
    reason="no weights",
)
NOW = ModelStatus(
    name="m", versions=(VERSION,), default_version=2, route=ModelRoute(weights={2: 5}, sticky="principal")
)
OUTCOME = models.Outcome(
    model="m",
    version=2,
    is_plan=False,
    plan=models.Plan(steps=("load m/2",), warnings=("careful",)),
    revision=4,
    is_settled=True,
    now=NOW,
)
STORED = models.StoredVersion(
    version=2,
    state=None,
    is_default=True,
    labels=("stable",),
    weight=5,
    source="m.onnx",
    digest="ab",
    size_bytes=3,
    created_at=0.0,
    created_by="key:1",
    failure=VersionFailure(code="LOAD_FAILED", message="no weights", at=0.0),
)


class Server:
    """The native wire, with one result for every change."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.bodies: list[bytes] = []
        self._wire = NativeWire()

    def __call__(self, sent: httpx.Request) -> httpx.Response:
        for route in self._wire.routes:
            pattern = route.path.split("/")
            found = sent.url.path.split("/")
            is_match = len(pattern) == len(found) and all(
                one == other or one.startswith("{") for one, other in zip(pattern, found, strict=True)
            )
            if is_match and sent.method in route.methods:
                names = zip(pattern, found, strict=True)
                request = Request(
                    method=sent.method,
                    path=sent.url.path,
                    raw_path=sent.url.path,
                    path_params={one.strip("{}"): other for one, other in names if one.startswith("{")},
                    query=tuple(sent.url.params.multi_items()),
                    headers=tuple((name.lower(), value) for name, value in sent.headers.items()),
                    body=b"" if route.takes_upload else sent.content,
                    upload="/staged" if route.takes_upload and sent.content else "",
                )
                self.bodies.append(sent.content)
                self.asked.append(route.read(request))
                answer = route.write(self._result(), request)
                return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))
        return httpx.Response(404, json={})

    def _result(self) -> Any:
        if isinstance(self.asked[-1], models.ListVersions):
            return models.VersionList(model="m", versions=(STORED,), revision=4)
        return OUTCOME


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda client: client.promote("m", 2), models.PromoteVersion(model="m", version=2)),
        (lambda client: client.rollback("m"), models.RollBack(model="m")),
        (lambda client: client.label("m", "canary", 2), models.SetLabel(model="m", label="canary", version=2)),
        (lambda client: client.label("m", "canary", None), models.SetLabel(model="m", label="canary", version=None)),
        (
            lambda client: client.route("m", {1: 9, 2: 1}, sticky="principal"),
            models.SetRoute(model="m", weights={1: 9, 2: 1}, sticky="principal"),
        ),
        (lambda client: client.route("m", {}), models.SetRoute(model="m")),
        (lambda client: client.scale("m", 3), models.SetScale(model="m", replicas=3)),
        (
            lambda client: client.scale("m", None, min_replicas=2, max_replicas=None, on_demand=True, pinned=False),
            models.SetScale(
                model="m", replicas=None, min_replicas=2, max_replicas=None, is_on_demand=True, is_pinned=False
            ),
        ),
        (
            lambda client: client.policy("m", "specific", versions=[1]),
            models.SetPolicy(model="m", policy=VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1,))),
        ),
        (lambda client: client.load("m"), models.LoadModel(model="m")),
        (lambda client: client.load("m", 2), models.LoadModel(model="m", version=2)),
        (lambda client: client.unload("m"), models.UnloadModel(model="m")),
        (lambda client: client.delete("m", 2), models.DeleteModel(model="m", version=2)),
        (
            lambda client: client.delete("m", how=How(plan=True, wait_s=0.0, revision=7)),
            models.DeleteModel(model="m", is_plan=True, wait_s=0.0, revision=7),
        ),
    ],
)
def test_the_server_reads_each_change_as_it_was_meant(
    session: Callable[..., Any], ask: Callable[[Any], Any], wanted: models.Change
) -> None:
    server = Server()
    outcome = ask(session(server))
    assert server.asked == [wanted]
    assert (outcome.version, outcome.steps, outcome.warnings) == (2, ("load m/2",), ("careful",))
    assert (outcome.revision, outcome.is_settled, outcome.is_plan) == (4, True, False)
    assert outcome.now.route.weights == {2: 5}
    assert [version.reason for version in outcome.failures] == ["no weights"]


def test_the_versions_are_listed(session: Callable[..., Any]) -> None:
    found = session(Server()).versions("m")
    (version,) = found.versions
    assert (found.revision, version.labels, version.weight, version.state) == (4, ("stable",), 5, None)
    assert version.failure.message == "no weights"
    assert version.created_at.year == 1970


def test_a_file_is_pushed_as_it_is(session: Callable[..., Any], tmp_path: Path) -> None:
    server = Server()
    path = tmp_path / "m.onnx"
    path.write_bytes(b"x" * 3_000_000)
    client = session(server)
    outcome = client.push(path, "m", promote=True)
    (wanted,) = server.asked
    assert (wanted.file_name, wanted.version, wanted.is_promoted) == ("m.onnx", None, True)
    assert server.bodies == [path.read_bytes()]
    assert client.requests[0].headers["content-length"] == "3000000"
    assert outcome.version == 2


def test_a_folder_is_pushed_as_a_tar_without_what_is_hidden(session: Callable[..., Any], tmp_path: Path) -> None:
    server = Server()
    folder = tmp_path / "m"
    for name in ("model.onnx", "sub/labels.txt", ".git/config", "__pycache__/x.pyc"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    session(server).push(folder, "m", version=7)
    (wanted,) = server.asked
    assert (wanted.file_name, wanted.version) == ("m.tar", 7)
    with tarfile.open(fileobj=io.BytesIO(server.bodies[0])) as tar:
        assert tar.getnames() == ["model.onnx", "sub/labels.txt"]


def test_a_plan_sends_no_artefact(session: Callable[..., Any], tmp_path: Path) -> None:
    server = Server()
    session(server).push(tmp_path, "m", how=How(plan=True))
    assert server.bodies == [b""]
    assert server.asked[0].is_plan


def test_a_path_that_cannot_be_read_is_told(session: Callable[..., Any], tmp_path: Path) -> None:
    with pytest.raises(SalverClientError, match="cannot be read") as raised:
        session(Server()).push(tmp_path / "none.onnx", "m")
    assert raised.value.code == "INVALID_INPUT"
