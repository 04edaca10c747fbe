"""From what was found to what is to run: the replicas of one version."""

from __future__ import annotations

import os
import sys

from salver.models.environmentfiles import EnvironmentWish
from salver.models.ownpackages import Fit
from salver.models.programs import command_of
from salver.models.sources import ModelSource
from salver.replicas.base import ReplicaSpec
from salver.replicas.environments import base as kinds
from salver.replicas.environments.base import EnvironmentRequest, EnvironmentSettings
from salver.replicas.environments.pythons import is_found_by_version
from salver.replicas.environments.rkind import LIBRARIES_VARIABLE, PROGRAMS_VARIABLE
from salver.types import BatchSettings
from salver_worker.runtimes.specs import R


def replica_spec(
    source: ModelSource,
    *,
    threads: int,
    batching: BatchSettings,
    warm_up_rounds: int = 1,
    environments: EnvironmentSettings | None = None,
) -> ReplicaSpec:
    """What model.toml leaves open is as the arguments say, and in the server's own Python."""
    manifest = source.manifest
    environment = manifest.environment
    return ReplicaSpec(
        id=source.id,
        runtime=source.recognition.runtime,
        path=str(source.recognition.artifact),
        folder=str(source.folder),
        manifest=source.worker_manifest(),
        command=command_of(source),
        python=sys.executable if is_found_by_version(environment.python or "") else environment.python or "",
        environment=wanted_environment(source.wish, environments or EnvironmentSettings()),
        threads=environment.threads or threads,
        warm_up_rounds=warm_up_rounds,
        variables=_variables(source, environments or EnvironmentSettings()),
        replicas=manifest.replicas or 1,
        batching=manifest.batching.over(batching),
        deadline_s=manifest.deadline_s,
        is_idempotent=manifest.idempotent,
        description=manifest.description,
        details=source.details,
        labels={} if source.foreign is None else source.foreign.labels,
        config={} if source.declared is None else source.declared.config,
        source=source.source,
    )


def _variables(source: ModelSource, settings: EnvironmentSettings) -> dict[str, str]:
    """Those of model.toml; for a model of R also which R it runs in, and with which packages."""
    environment = source.manifest.environment
    if source.recognition.runtime != R.name:
        return environment.variables
    libraries = [str(source.folder / each) for each in environment.r_libraries]
    found = {
        PROGRAMS_VARIABLE: os.pathsep.join(settings.r_interpreters),
        LIBRARIES_VARIABLE: os.pathsep.join((*libraries, *settings.r_libraries)),
    }
    return {**{name: value for name, value in found.items() if value}, **environment.variables}


def wanted_environment(wish: EnvironmentWish | None, settings: EnvironmentSettings) -> EnvironmentRequest | None:
    """What is to be built for a version; None where it runs in the interpreter as it is."""
    if wish is None or (wish.request.is_inferred and settings.infer_environments == "never"):
        return None
    if wish.request.kind == kinds.R and not settings.r_repositories:
        return None  # the worker holds R to the lock
    if settings.always_build_environments:
        return wish.request
    enough = {Fit.FITS}
    if wish.request.is_inferred and settings.infer_environments == "missing":
        enough.add(Fit.DIFFERENT)
    return None if wish.fit in enough else wish.request
