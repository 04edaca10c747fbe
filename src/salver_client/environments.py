"""What can be asked about environments, as calls, and what the answers become. No sending here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from salver_client.calls import JSON, Call, read
from salver_client.inputs import Piece
from salver_client.results import Json

Result = TypeVar("Result")
PATH = "/api/v1/environments"
BUILD_S = 3600.0
"""How long the server may take to resolve and install packages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment that is built. `python`: its version, or R's where `kind` is `r`. `used_by`: versions that run in
    it, as `model/version`.
    """

    id: str
    kind: str
    python: str
    packages: int
    size_bytes: int
    built_at: datetime
    build_s: float
    lock_digest: str
    used_by: tuple[str, ...]

    @classmethod
    def of(cls, json: Json) -> Environment:
        return cls(**_fields(json))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDetail(Environment):
    """One environment, with its packages, by name, and the text of its lock."""

    interpreter: str
    installed: dict[str, str]
    lock: str

    @classmethod
    def of(cls, json: Json) -> EnvironmentDetail:
        installed = {each["name"]: each["version"] for each in json["installed"]}
        return cls(**_fields(json), interpreter=json["interpreter"], installed=installed, lock=json["lock"])


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentLock:
    """Exact versions with hashes: the text of a requirements file without any address, or of a renv.lock."""

    lock: str
    digest: str

    @classmethod
    def of(cls, json: Json) -> EnvironmentLock:
        return cls(lock=json["lock"], digest=json["digest"])


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltEnvironment:
    """What was done, or as a plan would be. `environment` is None while it is not built."""

    is_plan: bool
    steps: tuple[str, ...]
    environment: Environment | None

    @classmethod
    def of(cls, json: Json) -> BuiltEnvironment:
        built = json["environment"]
        environment = None if built is None else Environment.of(built)
        return cls(is_plan=json["plan"], steps=tuple(json["steps"]), environment=environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunedEnvironments:
    """What was removed, or as a plan would be, and what stays."""

    is_plan: bool
    removed: tuple[Environment, ...]
    kept: tuple[Environment, ...]
    size_bytes: int

    @classmethod
    def of(cls, json: Json) -> PrunedEnvironments:
        return cls(
            is_plan=json["plan"],
            removed=tuple(map(Environment.of, json["removed"])),
            kept=tuple(map(Environment.of, json["kept"])),
            size_bytes=json["size_bytes"],
        )


def _fields(json: Json) -> dict[str, Any]:
    return {
        **{name: json[name] for name in ("id", "kind", "python", "packages", "size_bytes", "build_s", "lock_digest")},
        "built_at": datetime.fromisoformat(json["built_at"]),
        "used_by": tuple(f"{each['model']}/{each['version']}" for each in json["used_by"]),
    }


def environments() -> Call[tuple[Environment, ...]]:
    return read(PATH, lambda json: tuple(map(Environment.of, json["environments"])))


def environment(id: str) -> Call[EnvironmentDetail]:
    return read(f"{PATH}/{quote(id, safe='')}", EnvironmentDetail.of)


def lock(
    requirements: Sequence[str], kind: str, python: str, constraints: Sequence[str], lock: str
) -> Call[EnvironmentLock]:
    document = _wanted(requirements, kind, python, constraints, lock)
    return Call(
        method="POST",
        path=f"{PATH}/lock",
        body=Piece(JSON, json.dumps(document).encode()),
        headers={"Accept": JSON},
        parse=lambda reply: EnvironmentLock.of(reply.json()),
        at_least_s=BUILD_S,
    )


def build(
    requirements: Sequence[str], kind: str, python: str, constraints: Sequence[str], lock: str, plan: bool
) -> Call[BuiltEnvironment]:
    document = _wanted(requirements, kind, python, constraints, lock)
    return Call(
        method="POST",
        path=f"{PATH}?plan={'true' if plan else 'false'}",
        body=Piece(JSON, json.dumps(document).encode()),
        headers={"Accept": JSON},
        parse=lambda reply: BuiltEnvironment.of(reply.json()),
        at_least_s=BUILD_S,
    )


def prune(plan: bool) -> Call[PrunedEnvironments]:
    return Call(
        method="POST",
        path=f"{PATH}/prune?plan={'true' if plan else 'false'}",
        body=Piece(JSON, b"{}"),
        headers={"Accept": JSON},
        parse=lambda reply: PrunedEnvironments.of(reply.json()),
        at_least_s=BUILD_S,
    )


def _wanted(
    requirements: Sequence[str], kind: str, python: str, constraints: Sequence[str], lock: str
) -> dict[str, Any]:
    return {
        "kind": kind,
        "requirements": list(requirements),
        "python": python,
        "constraints": list(constraints),
        "lock": lock,
    }
