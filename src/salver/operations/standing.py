"""What predictions with the same head from the same caller have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from salver.serving.batching.ticket import Expected, Ticket

if TYPE_CHECKING:
    from salver.access.permit import Principal
    from salver.errors import SalverError
    from salver.operations.base import BurstCodec, Credentials, Operation, PredictRoute
    from salver.operations.burst import Burst, BurstExchange
    from salver.serving.batching.queue import VersionQueue
    from salver.telemetry.meter import Tally


class Owner:
    """Who takes predictions, one by one or many at once, and keeps the records. It is subclassed by one."""

    names_requests = False
    """Whether the records name each request."""

    def submit_arrivals(self, standing: Standing) -> None:
        """Queue the exchanges that have come in this turn of the loop."""
        raise AssertionError("who owns standings queues their arrivals")

    def start_alone(self, exchange: BurstExchange, standing: Standing, cold_start_s: float = 0.0) -> Ticket | None:
        """A ticket that is not queued yet; None when the exchange has been answered, or goes its own way."""
        raise AssertionError("who owns standings starts their exchanges")

    def refuse(self, exchange: BurstExchange, standing: Standing, error: SalverError, request_id: str) -> None:
        raise AssertionError("who owns standings refuses their exchanges")

    def record(self, burst: Burst) -> None:
        """Count and log all of it as answered or cancelled."""
        raise AssertionError("who owns standings keeps the records")

    def next_request_id(self) -> str:
        raise AssertionError("who owns standings names the requests")


class Standing(Expected):
    """All of it, worked out once.

    It holds while the models, the keys and the caller's connection say the same; `Predictions` checks that.
    """

    def __init__(
        self,
        owner: Owner,
        operation: Operation,
        route: PredictRoute,
        queue: VersionQueue,
        principal: Principal,
        credentials: Credentials,
        allowed_s: float,
    ) -> None:
        self.owner = owner
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
        self.names_requests = False
        """Whether each answer has the request's id in a header."""
        self.arrivals: list[BurstExchange] = []
        """Exchanges of this turn of the loop."""

    def take_arrivals(self) -> list[BurstExchange]:
        arrived, self.arrivals = self.arrivals, []
        return arrived

    def submit(self) -> None:
        self.owner.submit_arrivals(self)
