"""The client of a Salver server: `Client` for threads, `AsyncClient` for an event loop.

It needs nothing of the server's code.
"""

from salver_client.changes import How
from salver_client.client import AsyncClient, Client
from salver_client.errors import SalverClientError
from salver_client.results import (
    AuditLine,
    CreatedKey,
    Failure,
    Key,
    Model,
    Outcome,
    Prediction,
    Ranked,
    Readiness,
    Replica,
    Route,
    Signature,
    StoredVersion,
    TensorSpec,
    Version,
    VersionList,
)

__all__ = [
    "AsyncClient",
    "AuditLine",
    "Client",
    "CreatedKey",
    "Failure",
    "How",
    "Key",
    "Model",
    "Outcome",
    "Prediction",
    "Ranked",
    "Readiness",
    "Replica",
    "Route",
    "SalverClientError",
    "Signature",
    "StoredVersion",
    "TensorSpec",
    "Version",
    "VersionList",
]
