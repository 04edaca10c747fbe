"""The client of a Salver server: `Client` for threads, `AsyncClient` for an event loop.

`package` makes a package of a model.

It needs nothing of the server's code.
"""

from salver_client.changes import How
from salver_client.client import AsyncClient, Client
from salver_client.environments import (
    BuiltEnvironment,
    Environment,
    EnvironmentDetail,
    EnvironmentLock,
    PrunedEnvironments,
)
from salver_client.errors import SalverClientError
from salver_client.packaging.base import Package
from salver_client.packaging.making import package
from salver_client.results import (
    AuditLine,
    CreatedKey,
    Failure,
    Key,
    Model,
    Outcome,
    Policy,
    Prediction,
    Ranked,
    Readiness,
    Replica,
    Route,
    Scale,
    Signature,
    StoredVersion,
    TensorSpec,
    Version,
    VersionList,
)

__all__ = [
    "AsyncClient",
    "AuditLine",
    "BuiltEnvironment",
    "Client",
    "CreatedKey",
    "Environment",
    "EnvironmentDetail",
    "EnvironmentLock",
    "Failure",
    "How",
    "Key",
    "Model",
    "Outcome",
    "Package",
    "Policy",
    "Prediction",
    "PrunedEnvironments",
    "Ranked",
    "Readiness",
    "Replica",
    "Route",
    "SalverClientError",
    "Scale",
    "Signature",
    "StoredVersion",
    "TensorSpec",
    "Version",
    "VersionList",
    "package",
]
