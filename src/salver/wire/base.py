"""What a wire is: the addresses of one protocol, and translation, nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from salver.errors import SalverError
from salver.operations.base import Answer, PredictRoute, Request, Route
from salver.operations.methods import Method


class Wire(Protocol):
    """One protocol spoken to clients over HTTP."""

    name: str
    """As it appears in metrics, logs and settings: `tfserving`, `mms`, `openinference`, `native`."""

    @property
    def routes(self) -> tuple[Route, ...]:
        """The ordinary addresses."""

    def predict_route(self, method: bytes, target: bytes) -> PredictRoute | None:
        """The route of a prediction address, or None when `target` (path and query as sent) is not one of this wire's.

        Called once per distinct address; the edge keeps the result while the snapshot of models stands.
        """

    def owns(self, path: str) -> bool:
        """Whether an address without a route is still this wire's, so that its error looks as its clients expect."""

    def unmatched(self, request: Request) -> Answer:
        """The answer to an address that it owns and that matches nothing."""

    def error(self, error: SalverError, request: Request) -> Answer:
        """The wire's rendering of an error on one of its ordinary addresses; must not raise."""


class GrpcWire(Protocol):
    """One protocol spoken to clients over gRPC."""

    name: str
    """That of the same protocol over HTTP: it is one wire, in metrics, logs and settings."""

    @property
    def methods(self) -> Sequence[Method]:
        """All methods of its services."""

    def error(self, error: SalverError) -> Answer:
        """The wire's rendering of an error where no route is asked; must not raise."""
