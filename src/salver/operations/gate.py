"""The one path for every door: authenticate, permit, limit, run, count, audit.

Default deny: an operation that is not in the catalogue cannot be named, and one without a row's permission is refused.
What must be quick (predictions) is admitted from memory, without a task; everything else goes through `run`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from salver.access.authenticator import Authenticator
from salver.access.limits import RateLimiter
from salver.access.permit import Principal, denial, is_allowed
from salver.errors import Code, SalverError, StartupError
from salver.operations.base import Body, Call, Credentials, Exchange, Operation, Route, Scope
from salver.telemetry.meter import Meter

NOBODY = Principal(id="nobody", role="")
"""Who asks for what anyone may ask, and who was not admitted."""


ON_THE_LANE = frozenset({"models.predict", "workflows.predict"})
"""Operations that are no body's: predictions have a way of their own."""
HARMLESS = re.compile(rb"[A-Za-z0-9._:-]{1,128}")


class Auditor(Protocol):
    """Keeps who was refused. (Who changed what is written by the control half, before it acknowledges the change.)"""

    def denied(self, call: Call, error: SalverError) -> None:
        """Does not block; a flood of denials is counted, not kept line by line."""


class Gate:
    """Holds every door to the same rules. One per front end; `admit` and `finish` never block."""

    def __init__(
        self,
        operations: tuple[Operation, ...],
        bodies: Mapping[str, Body],
        *,
        authenticator: Authenticator,
        limiter: RateLimiter,
        auditor: Auditor,
        meter: Meter,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        new_request_id: Callable[[], str],
    ) -> None:
        self._operations = {operation.name: operation for operation in operations}
        missing = sorted(self._operations.keys() - bodies.keys() - ON_THE_LANE)
        if missing:
            raise StartupError(Code.INTERNAL, f"These operations have no body: {', '.join(missing)}.")
        self._bodies = bodies
        self.authenticator = authenticator
        self._limiter = limiter
        self._auditor = auditor
        self.meter = meter
        self.clock = clock
        self._wall_clock = wall_clock
        self.new_request_id = new_request_id

    def check_routes(self, routes: tuple[Route, ...], wire: str) -> None:
        """Raises StartupError when a route names no operation of the catalogue, so that no address is unguarded."""
        for route in routes:
            self.check_operation(route.operation, route.path, wire)

    def check_operation(self, operation: str, path: str, wire: str) -> None:
        """Raises StartupError when the operation that an address names does not exist."""
        if operation not in self._operations:
            raise StartupError(
                Code.INTERNAL,
                f"The address {path} of the protocol {wire} declares the operation "
                f"{operation!r}, which does not exist.",
                fix="Name an operation of salver.operations in the route's row.",
            )

    def operation(self, name: str) -> Operation:
        return self._operations[name]

    # The prediction lane

    def admit(self, operation: Operation, exchange: Exchange, model: str, wire: str, now: float) -> Principal:
        """Who, may they, how much is left. Raises RequestError, which is then in the audit log.

        Of a caller who is lasting and has no budget the answer is the same as long as `authenticator.keys` is the same
        object.
        """
        credentials = exchange.credentials
        try:
            wall_time = 0.0 if credentials.token is None else self._wall_clock()
            principal = self.authenticator.identify(credentials, wall_time)
            if not is_allowed(principal, operation.permission, model):
                raise denial(principal, operation.permission or "", model)
            if principal.requests_per_second is not None:
                self._limiter.admit(principal, now)
        except SalverError as error:
            self._auditor.denied(self.refused(operation, exchange, model, wire), error)
            raise
        return principal

    def refused(self, operation: Operation, exchange: Exchange, model: str, wire: str) -> Call:
        """The call of a request that got no further than the gate: for the records, all under one id."""
        exchange.request_id = exchange.request_id or self.new_request_id()
        principal = self._recognised(exchange.credentials)
        return Call(operation, principal, exchange.request_id, exchange.credentials.peer, model, wire, self.clock())

    def finish(self, call: Call, error: SalverError | None) -> None:
        """Count an ordinary call, once."""
        if not call.is_counted:
            call.is_counted = True
            self.meter.record(self.meter.tally(call), call, error, self.clock())

    # Ordinary operations

    async def run(
        self,
        operation: str,
        credentials: Credentials,
        read: Callable[[], Any],
        *,
        receive: Callable[[], Awaitable[None]] | None = None,
        model: str = "",
        wire: str = "",
        request_id: str = "",
    ) -> Any:
        """Run an operation for whoever asks. Raises SalverError.

        `read` makes the parameters; it is called once the caller may, so that nobody else's input is looked at. Before
        it comes `receive`, which takes in what is too large to be taken in from everybody.
        """
        row = self._operations[operation]
        call = Call(
            row,
            NOBODY,
            request_id or self.new_request_id(),
            credentials.peer,
            model,
            wire,
            self.clock(),
        )
        error: SalverError | None = None
        try:
            self._permit(call, credentials)
            if receive is not None:
                await receive()
            return await self._bodies[row.name](call, read())
        except SalverError as failure:
            error = failure
            raise
        except Exception as failure:
            error = SalverError(Code.INTERNAL, "The server failed on this request.", log_detail=repr(failure))
            raise
        finally:
            self.finish(call, error)

    def _permit(self, call: Call, credentials: Credentials) -> None:
        """Put a name to the call. Raises RequestError, noted under that name, when its bearer may not do this."""
        row = call.operation
        if row.permission is None:
            call.principal = self._recognised(credentials)
            return
        try:
            principal = call.principal = self.authenticator.identify(credentials, self._wall_clock())
            about = call.model if row.scope is Scope.MODEL else ""
            if not is_allowed(principal, row.permission, about):
                raise denial(principal, row.permission, about)
            self._limiter.admit(principal, self.clock())
        except SalverError as error:
            self._auditor.denied(call, error)
            raise

    def _recognised(self, credentials: Credentials) -> Principal:
        """Who asks, when it may be nobody: of what anyone may ask, some hear more; of a refusal, the audit log does."""
        try:
            return self.authenticator.identify(credentials, self._wall_clock())
        except SalverError:
            return NOBODY


def checked_request_id(given: bytes) -> str:
    """A client's own request id when it is harmless in logs and headers (1 to 128 of A-Z a-z 0-9 . _ - :), else ''."""
    return given.decode("ascii") if HARMLESS.fullmatch(given) else ""
