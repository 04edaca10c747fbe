"""What predictions with the same head from the same caller have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from salver.access.permit import Principal
    from salver.operations.base import BurstCodec, Credentials, Operation, PredictRoute
    from salver.serving.batching.queue import VersionQueue
    from salver.telemetry.meter import Tally

ExchangeT = TypeVar("ExchangeT")


class Standing(Generic[ExchangeT]):
    """All of it, worked out once.

    It holds while the models, the keys and the caller's connection say the same; `Predictions` checks that.
    """

    __slots__ = (
        "allowed_s",
        "arrivals",
        "codec",
        "credentials",
        "epoch",
        "generation",
        "model",
        "operation",
        "peer",
        "principal",
        "queue",
        "route",
        "tally",
        "version",
        "wire",
    )

    def __init__(
        self,
        operation: Operation,
        route: PredictRoute,
        queue: VersionQueue,
        principal: Principal,
        credentials: Credentials,
        allowed_s: float,
    ) -> None:
        self.operation = operation
        self.route = route
        self.queue = queue
        self.principal = principal
        self.credentials = credentials
        self.peer = credentials.peer
        self.allowed_s = allowed_s
        self.model = route.model
        self.wire = route.wire
        self.version = queue.version.id.version
        self.tally: Tally
        self.epoch: object = None
        self.generation = 0
        self.codec: BurstCodec | None = None
        self.arrivals: list[ExchangeT] = []
        """Exchanges of this turn of the loop."""

    def take_arrivals(self) -> Sequence[ExchangeT]:
        arrived, self.arrivals = self.arrivals, []
        return arrived
