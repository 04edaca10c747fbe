"""The client of a Salver server: `Client` for threads, `AsyncClient` for an event loop.

It needs nothing of the server's code.
"""

from salver_client.client import AsyncClient, Client
from salver_client.errors import SalverClientError
from salver_client.results import (
    AuditLine,
    CreatedKey,
    Key,
    Model,
    Prediction,
    Ranked,
    Readiness,
    Replica,
    Signature,
    TensorSpec,
    Version,
)

__all__ = [
    "AsyncClient",
    "AuditLine",
    "Client",
    "CreatedKey",
    "Key",
    "Model",
    "Prediction",
    "Ranked",
    "Readiness",
    "Replica",
    "SalverClientError",
    "Signature",
    "TensorSpec",
    "Version",
]
