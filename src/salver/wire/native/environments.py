"""The addresses of environments, as rows, and their documents."""

from __future__ import annotations

import msgspec

from salver.operations import environments
from salver.operations.base import Answer, Request, Route
from salver.wire.native.changes import body_of, switch
from salver.wire.native.documents import Moment
from salver.wire.native.endpoint import Endpoint, always, get, json_answer
from salver.wire.native.errors import printable
from salver.wire.native.views import moment

ENVIRONMENTS = "/api/v1/environments"


class VersionName(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a model."""

    model: str
    version: int


class EnvironmentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One environment that is built, and the versions that run in it, or would if they were loaded. `python` is the
    version of what it is for, which for the kind `r` is R.
    """

    id: str
    kind: str
    python: str
    packages: int
    size_bytes: int
    built_at: Moment
    build_s: float
    lock_digest: str
    used_by: tuple[VersionName, ...]


class EnvironmentsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All environments that are built, the oldest first."""

    environments: tuple[EnvironmentDocument, ...]


class PackageDocument(msgspec.Struct, frozen=True, kw_only=True):
    """One package, in exactly one version."""

    name: str
    version: str


class EnvironmentDetailDocument(EnvironmentDocument, frozen=True, kw_only=True):
    """One environment, with what is in it and the lock that it was built of."""

    interpreter: str
    installed: tuple[PackageDocument, ...]
    lock: str


class EnvironmentRequestDocument(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be locked or built: requirements, or a lock instead of them. No `python`: the server's own. Of the
    kind `r` it is a renv.lock, as `lock`.
    """

    kind: str = "python"
    python: str = ""
    requirements: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()
    lock: str = ""


class LockDocument(msgspec.Struct, frozen=True, kw_only=True):
    """Exact versions with hashes: a requirements file without any address, or a renv.lock."""

    lock: str
    digest: str
    packages: tuple[PackageDocument, ...]


class BuiltEnvironmentDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was done, or with `plan` would be; the environment is null while it is not built."""

    plan: bool
    steps: tuple[str, ...]
    environment: EnvironmentDocument | None


class PrunedEnvironmentsDocument(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed, or with `plan` would be, and what stays."""

    plan: bool
    removed: tuple[EnvironmentDocument, ...]
    kept: tuple[EnvironmentDocument, ...]
    size_bytes: int


def environment_document(row: environments.EnvironmentRow) -> EnvironmentDocument:
    return EnvironmentDocument(
        id=row.id,
        kind=row.kind,
        python=row.python,
        packages=row.packages,
        size_bytes=row.size_bytes,
        built_at=moment(row.built_at),
        build_s=row.build_s,
        lock_digest=row.lock_digest,
        used_by=tuple(VersionName(model=id.model, version=id.version) for id in row.used_by),
    )


def package_documents(packages: tuple[environments.Package, ...]) -> tuple[PackageDocument, ...]:
    return tuple(PackageDocument(name=each.name, version=each.version) for each in packages)


def write_list(result: tuple[environments.EnvironmentRow, ...], request: Request) -> Answer:
    return json_answer(EnvironmentsDocument(environments=tuple(map(environment_document, result))), request)


def read_get(request: Request) -> environments.GetEnvironment:
    return environments.GetEnvironment(id=request.path_params["id"])


def write_get(result: environments.EnvironmentDetail, request: Request) -> Answer:
    document = EnvironmentDetailDocument(
        **msgspec.structs.asdict(environment_document(result.row)),
        interpreter=printable(result.interpreter),
        installed=package_documents(result.packages),
        lock=result.lock,
    )
    return json_answer(document, request)


def wanted(request: Request) -> environments.WantedEnvironment:
    document = body_of(EnvironmentRequestDocument, request)
    return environments.WantedEnvironment(**msgspec.structs.asdict(document))


def read_lock(request: Request) -> environments.LockEnvironment:
    return environments.LockEnvironment(wanted=wanted(request))


def write_lock(result: environments.LockedEnvironment, request: Request) -> Answer:
    packages = package_documents(result.packages)
    return json_answer(LockDocument(lock=result.lock, digest=result.digest, packages=packages), request)


def read_build(request: Request) -> environments.BuildEnvironment:
    return environments.BuildEnvironment(wanted=wanted(request), is_plan=switch(request, "plan"))


def write_build(result: environments.BuiltEnvironment, request: Request) -> Answer:
    document = BuiltEnvironmentDocument(
        plan=result.is_plan,
        steps=tuple(map(printable, result.steps)),
        environment=None if result.environment is None else environment_document(result.environment),
    )
    return json_answer(document, request)


def read_prune(request: Request) -> environments.PruneEnvironments:
    body_of(NothingDocument, request)
    return environments.PruneEnvironments(is_plan=switch(request, "plan"))


class NothingDocument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An empty object."""


def write_prune(result: environments.PrunedEnvironments, request: Request) -> Answer:
    document = PrunedEnvironmentsDocument(
        plan=result.is_plan,
        removed=tuple(map(environment_document, result.removed)),
        kept=tuple(map(environment_document, result.kept)),
        size_bytes=result.size_bytes,
    )
    return json_answer(document, request)


def environment_endpoints() -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            route=get(ENVIRONMENTS, environments.LIST.name, always(environments.ListEnvironments()), write_list),
            summary="The environments that are built, and the versions that use them.",
            gives=EnvironmentsDocument,
        ),
        Endpoint(
            route=get(f"{ENVIRONMENTS}/{{id}}", environments.GET.name, read_get, write_get),
            summary="One environment, with its packages and its lock; the beginning of its id is enough.",
            gives=EnvironmentDetailDocument,
        ),
        Endpoint(
            route=Route(
                methods=("POST",),
                path=ENVIRONMENTS,
                operation=environments.BUILD.name,
                read=read_build,
                write=write_build,
            ),
            summary=environments.BUILD.summary,
            takes=EnvironmentRequestDocument,
            gives=BuiltEnvironmentDocument,
            query=("plan",),
        ),
        Endpoint(
            route=Route(
                methods=("POST",),
                path=f"{ENVIRONMENTS}/lock",
                operation=environments.LOCK.name,
                read=read_lock,
                write=write_lock,
            ),
            summary=environments.LOCK.summary,
            takes=EnvironmentRequestDocument,
            gives=LockDocument,
        ),
        Endpoint(
            route=Route(
                methods=("POST",),
                path=f"{ENVIRONMENTS}/prune",
                operation=environments.PRUNE.name,
                read=read_prune,
                write=write_prune,
            ),
            summary=environments.PRUNE.summary,
            gives=PrunedEnvironmentsDocument,
            query=("plan",),
        ),
    )
