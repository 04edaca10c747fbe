"""The client's calls about environments, before the native wire itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from salver.operations import environments
from salver.operations.base import Request
from salver.operations.environments import (
    BuildEnvironment,
    BuiltEnvironment,
    EnvironmentDetail,
    EnvironmentRow,
    GetEnvironment,
    ListEnvironments,
    LockedEnvironment,
    LockEnvironment,
    Package,
    PrunedEnvironments,
    PruneEnvironments,
    WantedEnvironment,
)
from salver.types import ModelVersion
from salver.wire.native.environments import environment_endpoints

ROW = EnvironmentRow(
    id="ab12",
    kind="python",
    python="3.8.18",
    packages=2,
    size_bytes=100,
    built_at=0.0,
    build_s=1.5,
    lock_digest="cd34",
    used_by=(ModelVersion("m", 1),),
)
DETAIL = EnvironmentDetail(
    row=ROW, interpreter="/usr/bin/python3.8", packages=(Package("six", "1.16.0"),), lock="six==1.16.0\n"
)
RESULTS: dict[type, Any] = {
    ListEnvironments: (ROW,),
    GetEnvironment: DETAIL,
    LockEnvironment: LockedEnvironment(lock="six==1.16.0\n", digest="cd34", packages=(Package("six", "1.16.0"),)),
    BuildEnvironment: BuiltEnvironment(is_plan=True, steps=("resolve six",), environment=None),
    PruneEnvironments: PrunedEnvironments(is_plan=False, removed=(ROW,), kept=(), size_bytes=100),
}


class Wire:
    """The rows of the native wire; `asked` are the parameters that they made."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def __call__(self, sent: httpx.Request) -> httpx.Response:
        *folders, last = sent.url.path.split("/")
        for endpoint in environment_endpoints():
            route = endpoint.route
            named = route.path.replace("{id}", last if len(folders) == 4 else "{id}")
            if named == sent.url.path and sent.method in route.methods:
                request = Request(
                    method=sent.method,
                    path=sent.url.path,
                    raw_path=sent.url.path,
                    path_params={"id": last},
                    query=tuple(sent.url.params.multi_items()),
                    headers=tuple((name.lower(), value) for name, value in sent.headers.items()),
                    body=sent.content,
                )
                self.asked.append(route.read(request))
                answer = route.write(RESULTS[type(self.asked[-1])], request)
                return httpx.Response(answer.status, content=answer.body, headers=dict(answer.headers))
        return httpx.Response(404, json={})


@pytest.mark.parametrize(
    ("ask", "wanted"),
    [
        (lambda client: client.environments(), ListEnvironments()),
        (lambda client: client.environment("ab"), GetEnvironment(id="ab")),
        (
            lambda client: client.lock_environment(kind="r", lock="{}"),
            LockEnvironment(wanted=WantedEnvironment(kind="r", lock="{}")),
        ),
        (
            lambda client: client.lock_environment(["six"], python="3.8", constraints=["six<2"]),
            LockEnvironment(
                wanted=WantedEnvironment(python="3.8", requirements=("six",), constraints=("six<2",)),
            ),
        ),
        (
            lambda client: client.build_environment(lock="six==1.16.0", plan=True),
            BuildEnvironment(wanted=WantedEnvironment(lock="six==1.16.0"), is_plan=True),
        ),
        (lambda client: client.prune_environments(), PruneEnvironments()),
        (lambda client: client.prune_environments(plan=True), PruneEnvironments(is_plan=True)),
    ],
)
def test_each_call_asks_for_its_operation(session: Any, ask: Any, wanted: Any) -> None:
    wire = Wire()
    ask(session(wire))
    assert wire.asked == [wanted]


def test_answers_have_names_and_types(session: Any) -> None:
    client = session(Wire())
    (found,) = client.environments()
    assert (found.id, found.python, found.used_by) == ("ab12", "3.8.18", ("m/1",))
    assert found.built_at == datetime(1970, 1, 1, tzinfo=UTC)
    detail = client.environment("ab")
    assert (detail.installed, detail.lock, detail.size_bytes) == ({"six": "1.16.0"}, "six==1.16.0\n", 100)
    assert client.lock_environment(["six"]).digest == "cd34"
    built = client.build_environment(["six"], plan=True)
    assert (built.is_plan, built.steps, built.environment) == (True, ("resolve six",), None)
    assert client.prune_environments().removed == (found,)


def test_every_operation_has_an_address() -> None:
    named = {endpoint.route.operation for endpoint in environment_endpoints()}
    assert named == {row.name for row in environments.OPERATIONS}
