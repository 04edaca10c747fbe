"""What the server can do, as rows, and what travels with one use of a row.

A door (the HTTP edge, later gRPC, the console) hands the gate an operation's name, who asks and what for; the gate
finds the row here, permits, runs and counts. No door decides anything by itself.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from salver.errors import SalverError
from salver.types import InferRequest, InferResponse, VersionInfo

if TYPE_CHECKING:
    from salver.access.permit import Principal


class Answer(msgspec.Struct, gc=False):
    """One answer in the terms of a wire: what the edge writes. `content_type` None sends no such header."""

    status: int
    body: bytes
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    phrase: str | None = None
    close: bool = False


class Credentials(msgspec.Struct, frozen=True, gc=False):
    """Who a door says is asking: the key as it was sent, and where the connection comes from."""

    token: str | None
    peer: str
    is_loopback: bool
    local_uid: int | None = None
    """The user id of the process at the other end of the server's own Unix socket; None on every other door."""


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """An ordinary request (management, health, documents), whole, as the edge hands it to a wire."""

    method: str
    path: str
    raw_path: str
    path_params: dict[str, str] = {}
    query: tuple[tuple[str, str], ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case."""
    body: bytes = b""
    upload: str = ""
    """Of an address that takes uploads: the path of a file with the body; empty when there is none."""
    base_url: str = ""
    """Scheme, host and port as the client named them, for documents that name their own address."""
    request_id: str = ""

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def query_value(self, name: str) -> str | None:
        return next((value for key, value in self.query if key == name), None)


class Exchange(Protocol):
    """One prediction request at a door, and the only way to answer it."""

    method: bytes
    body: Any
    """The whole body: bytes, bytearray, memoryview or a SlabSlice."""
    credentials: Credentials
    request_id: str
    """The client's own id for the request, checked to be harmless; empty when it sent none."""

    @property
    def target(self) -> bytes:
        """Path and query as sent."""

    @property
    def headers(self) -> list[tuple[bytes, bytes]]:
        """Names as sent by the client, in its case."""

    @property
    def deadline_s(self) -> float:
        """How long the client is willing to wait; 0.0 when it did not say, -1.0 when what it said is no such time."""

    def header(self, name: bytes) -> bytes | None:
        """The value of the first header of this lower-case name."""

    def respond(self, answer: Answer) -> None:
        """Write the answer; does nothing when the client is gone."""


class TakesLong(Exception):
    """Raised by a route that would hold up everybody else: `work` does in a thread what it was asked, and may raise."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__("takes long")
        self.work = work


class AnsweredCall(Protocol):
    """What a wire may know of the call it renders an answer for."""

    request_id: str

    @property
    def version(self) -> int:
        """The version that was found; 0 when none was."""


class BurstCodec(Protocol):
    """How a wire reads and writes many predictions at once that differ in their bodies alone.

    What it takes comes out as `PredictRoute.decode` and `encode` would have it, one by one.
    """

    names_requests: bool
    """Whether each answer has the request's id in a header."""

    def decode(self, bodies: Sequence[Any]) -> tuple[InferRequest, list[int]] | None:
        """One request of the rows of all bodies, and how many each has; None when one of them needs a closer look."""

    def encode(self, response: InferResponse, request: InferRequest, rows: list[int]) -> tuple[Answer, list[bytes]]:
        """What all answers have in common, and the body of each. Raises RequestError(OUTPUT_INVALID)."""


class PredictRoute(Protocol):
    """One prediction address of one wire: how its bytes become a request, and an answer its bytes. It decides nothing.

    A route is made once per address and kept while the snapshot of models stands, so it may keep what it has worked
    out for a version (compare by identity: a VersionInfo is replaced whole).
    """

    wire: str
    operation: str
    model: str
    version: int | None
    label: str | None

    def decode(self, exchange: Exchange, version: VersionInfo) -> InferRequest:
        """Raises RequestError(INVALID_INPUT | SIGNATURE_NOT_FOUND | UNSUPPORTED_MEDIA_TYPE), or TakesLong."""

    def encode(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """Raises RequestError(OUTPUT_INVALID), or TakesLong."""

    def error(self, error: SalverError, call: AnsweredCall | None) -> Answer:
        """The wire's rendering of any error; must not raise."""

    def burst_codec(self, exchange: Exchange, version: VersionInfo) -> BurstCodec | None:
        """For requests of one version whose heads are this exchange's; None when each is to be taken by itself."""


class PartsRoute(PredictRoute, Protocol):
    """A route whose requests may want their answers in parts (`InferRequest.want_parts`).

    An answer that came whole is for `encode`. Of `encode_part` the first `Answer` is the beginning, with status and
    headers; of all that follow only the body counts.
    """

    def encode_part(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer: ...

    def encode_last(self, response: InferResponse, request: InferRequest, call: AnsweredCall) -> Answer:
        """What the model gave behind its parts, perhaps nothing: an empty body adds nothing."""

    def encode_failure(self, error: SalverError, call: AnsweredCall) -> Answer | None:
        """How an answer ends that has begun and cannot be ended; None: it is broken off. Must not raise."""


class Scope(enum.Enum):
    """What an operation is about, and so what a binding must cover."""

    SERVER = "server"
    MODEL = "model"


class Home(enum.Enum):
    """Which half of the server runs an operation: the front end that received it, or the control half."""

    FRONT = "front"
    CONTROL = "control"


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the catalogue: what it is called, what it needs, where it runs, whether it changes state."""

    name: str
    summary: str
    permission: str | None
    """The action of ``access/actions.py`` a caller needs; None only for what anyone may ask (liveness, readiness)."""
    scope: Scope
    home: Home
    changes_state: bool = False


class Call:
    """One use of an operation by one principal: identity, deadline and times ride with it to the end.

    What most calls leave as it is stands on the class, so that making one costs little.
    """

    deadline = 0.0
    queued_at = 0.0
    queued_s = 0.0
    version = 0
    """0 until a version is found."""
    rows = 0
    is_counted = False

    def __init__(
        self,
        operation: Operation,
        principal: Principal,
        request_id: str,
        peer: str,
        model: str,
        wire: str,
        started_at: float,
    ) -> None:
        self.operation = operation
        self.principal = principal
        self.request_id = request_id
        self.peer = peer
        self.model = model
        self.wire = wire
        self.started_at = started_at
        """The monotonic clock, in seconds, as are all times here."""


Body = Callable[[Call, Any], Awaitable[Any]]
"""An operation's few lines: takes the call and the operation's parameter struct, returns its result struct."""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a wire: an ordinary address, the operation it stands for, and the two translations.

    `path` is a template with `{name}` segments. `read` makes the operation's parameters; `write` its answer. Start-up
    fails when `operation` is not in the catalogue.
    """

    methods: tuple[str, ...]
    """Upper case; ("*",) for any."""
    path: str
    operation: str
    read: Callable[[Request], Any]
    write: Callable[[Any, Request], Answer]
    model: Callable[[Request], str] = lambda request: request.path_params.get("model", "")
    """The model that the permission is about, for operations of model scope."""
    takes_upload: bool = False
    """Whether the body may be large: it goes to a file, and only when the caller may send it."""
