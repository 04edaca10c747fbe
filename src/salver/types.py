"""The values that pass between the layers: frozen, complete when built, the same for every wire, runtime and engine."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]

DEFAULT_SIGNATURE = "serving_default"


class TensorSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One named input or output of a signature. A dimension of -1 is free; the first one, when free, counts rows."""

    name: str
    datatype: str
    shape: tuple[int, ...]
    has_rank: bool = True
    """False: the model does not say how many dimensions there are, so any are taken, and none counts rows."""
    columns: tuple[str, ...] = ()
    """Of an input with rows of several values: their names, where the model knows them."""

    def fits(self, shape: Sequence[int]) -> bool:
        """Whether a tensor of this shape may be sent."""
        return not self.has_rank or shape_matches(self.shape, shape)


class Ranking(msgspec.Struct, frozen=True, kw_only=True):
    """Two outputs that belong together, highest first: labels and how sure the model is of each (shapes [rows, k])."""

    classes: str
    probabilities: str


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Named inputs and outputs with datatype and shape, as callers see them (after the manifest's conversions)."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    ranking: Ranking | None = None


class PayloadKind(enum.Enum):
    """What a runtime takes: named tensors, or bodies (bytes with a content type, as MMS handlers do)."""

    TENSORS = "tensors"
    BODY = "body"


class ModelVersion(msgspec.Struct, frozen=True, order=True):
    """The identity of one immutable artefact: a model's name and its version's number."""

    model: str
    version: int

    def __str__(self) -> str:
        return f"{self.model}/{self.version}"


class SlabSlice:
    """Some bytes in a front end's shared slab, so that a worker can read them without a copy through the socket.

    Whoever holds it last calls `release` exactly once, after the worker has answered or died.
    """

    __slots__ = ("_owner", "offset", "view")

    def __init__(self, owner: SlabOwner | None, offset: int, view: memoryview) -> None:
        """Without an owner there is nothing to give back."""
        self._owner = owner
        self.offset = offset
        self.view = view

    def __len__(self) -> int:
        return self.view.nbytes

    def part(self, begin: int, end: int) -> SlabSlice:
        """Some of the bytes, to read while the whole is held: they are given back with it."""
        return SlabSlice(None, self.offset + begin, self.view[begin:end])

    def release(self) -> None:
        owner, self._owner = self._owner, None
        if owner is not None:
            owner.free(self)


class SlabOwner(Protocol):
    """Gives slices out and takes them back."""

    def free(self, piece: SlabSlice) -> None: ...


class Tensor(msgspec.Struct, frozen=True, gc=False):
    """One tensor on its way to a model.

    `data` is raw row-major little-endian bytes (any buffer, or a slab slice), a NumPy array, or nested Python values
    exactly of `shape` that become an array once per batch. For BYTES it is a flat list of `bytes`.
    """

    datatype: str
    shape: tuple[int, ...]
    data: Any


class Part(msgspec.Struct, frozen=True, gc=False):
    """One named piece of a body: a form field, or the whole body under the name `body`. `content_type` may be empty."""

    name: str
    content_type: str
    data: Any


class Body(msgspec.Struct, frozen=True, gc=False):
    """Bytes with a content type: what MMS clients send and MMS handlers take. Header names keep the client's case."""

    parts: tuple[Part, ...]
    headers: Mapping[str, str]


class BodyResult(msgspec.Struct, frozen=True, gc=False):
    """What a body runtime answers to one request: bytes, and what its code set of status, headers and content type."""

    data: bytes
    content_type: str | None = None
    status: int = 200
    phrase: str = ""
    headers: Mapping[str, str] = {}


class BatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How one version's requests are put together. Rows are counted, not requests."""

    max_batch_rows: int = 64
    max_batch_delay_s: float = 0.0
    latency_objective_s: float | None = None
    max_queue_rows: int = 4096


class VersionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """All that the prediction path must know of one live version. Replaced whole when anything changes."""

    id: ModelVersion
    runtime: str
    payload: PayloadKind
    signatures: dict[str, Signature]
    batching: BatchSettings
    has_batch_dimension: bool
    is_idempotent: bool
    deadline_s: float | None = None
    description: str = ""
    example: dict[str, Any] | None = None
    details: dict[str, str] = {}
    labels: dict[str, tuple[str, ...]] = {}
    """By output, the names of the places in its last dimension."""
    gives_parts: bool = False
    """Whether the model can give an answer in parts; models that take bodies may, whatever is said here."""
    config: dict[str, Any] = {}
    """What a config.pbtxt says of the model, in the form of Triton's ModelConfig: what is set, and no more."""
    unbatched: tuple[str, ...] = ()
    """Signatures whose requests are run one by one, where those of the default one may share a batch."""
    signature_defs: dict[str, dict[str, Any] | None] = {}
    """What a SavedModel says of its signatures, as JSON of a SignatureDef; null: what callers see is another one."""

    def batches(self, signature_name: str) -> bool:
        """Whether requests for this signature may share a batch, and so have rows that count."""
        return self.has_batch_dimension and signature_name not in self.unbatched

    def signature(self, name: str = "") -> Signature | None:
        return self.signatures.get(name or DEFAULT_SIGNATURE)


class SequenceStep(msgspec.Struct, frozen=True, gc=False):
    """A request's place in a sequence: all of one go to one replica, in order, which keeps what is between them."""

    id: int | str
    is_start: bool = False
    is_end: bool = False


class InferValues(msgspec.Struct, gc=False):
    """What every prediction has."""

    version: VersionInfo
    signature_name: str
    inputs: dict[str, Tensor] | None
    body: Body | None
    rows: int
    group: Any
    parameters: dict[str, Any] | None = None


class InferRequest(InferValues, gc=False, kw_only=True):
    """One caller's prediction, decoded: named tensors or a body, for one version and signature.

    `rows` is the size of the first dimension (1 where a model has none). Requests of one version may share a batch when
    their `group` compares equal: the same signature, input names, datatypes and trailing dimensions.
    """

    allowed_s: float = 0.0
    """How long it may take from its arrival, where its body says so; 0.0: as its head or the model says."""
    sequence: SequenceStep | None = None
    wants_parts: bool = False
    """Whether the caller takes the answer in parts. Of tensors it then travels alone, by a `group` of its own."""

    def want_parts(self) -> None:
        """Ask for parts where the model may give some; for an answer that is one, the request stays as it is."""
        if self.inputs is None:
            self.wants_parts = True
        elif self.version.gives_parts:
            self.wants_parts = True
            self.group = object()


class InferResponse(msgspec.Struct, gc=False):
    """One caller's answer: arrays by output name (BYTES as object arrays of bytes), or a body result."""

    version: VersionInfo
    outputs: dict[str, Array] | None
    body: BodyResult | None = None


class VersionState(enum.Enum):
    """Where a version is in its life. ``models/states.py`` has the legal moves and the drawing."""

    QUEUED = "QUEUED"
    BUILDING = "BUILDING"
    STARTING = "STARTING"
    READY = "READY"
    DEGRADED = "DEGRADED"
    CRASHLOOP = "CRASHLOOP"
    FAILED = "FAILED"
    DRAINING = "DRAINING"
    STOPPED = "STOPPED"
    UNLOADED = "UNLOADED"


class ReplicaStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One replica as its supervisor sees it."""

    id: str
    pid: int | None
    state: str
    started_at: float
    restarts: int = 0
    rss_bytes: int = 0
    reason: str = ""


class VersionFailure(msgspec.Struct, frozen=True, kw_only=True):
    """Why a version cannot be loaded; kept until somebody asks to try again."""

    code: str
    message: str
    fix: str = ""
    exception: str = ""
    log_tail: tuple[str, ...] = ()
    at: float = 0.0
    """Seconds since the epoch."""


class VersionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What an operator is told of a version: desired and actual, and why."""

    id: ModelVersion
    state: VersionState
    runtime: str
    source: str
    environment: str
    replicas_wanted: int
    replicas: tuple[ReplicaStatus, ...] = ()
    reason: str = ""
    fix: str = ""
    log_tail: tuple[str, ...] = ()
    info: VersionInfo | None = None
    own_name: str = ""
    """What its artefact calls this version, where it does: `1.0` in a model archive."""
    waiting_rows: int = 0
    """What waits in the queue of the front end that was asked."""
    batching: BatchSettings | None = None
    customized: bytes = b""
    """What its code says of itself, a JSON object; only where that was asked for."""

    @property
    def replicas_ready(self) -> int:
        return sum(replica.state == "READY" for replica in self.replicas)


class PolicyKind(enum.Enum):
    """Which of a model's versions are loaded, as TensorFlow Serving names its three policies."""

    LATEST = "latest"
    SPECIFIC = "specific"
    ALL = "all"


class Preserve(enum.Enum):
    """What a switch of versions keeps: answers (the new one is ready first), or memory (the old one stops first)."""

    AVAILABILITY = "availability"
    RESOURCES = "resources"


class VersionPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions of a model are wanted. `count` is for `latest`, `versions` for `specific`."""

    kind: PolicyKind = PolicyKind.LATEST
    count: int = 1
    versions: tuple[int, ...] = ()
    preserve: Preserve = Preserve.AVAILABILITY
    highest_answers: bool = False
    """Whether the highest version that serves answers requests that name none, whatever has the label `stable`."""


class ModelRoute(msgspec.Struct, frozen=True, kw_only=True):
    """Which versions answer requests that name none: each gets its weight's share of all weights (above 0).

    `sticky` keeps a caller with one version: `principal` by who asks, `header:NAME` by a header's value; empty: chance.
    """

    weights: dict[int, int]
    sticky: str = ""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How many replicas each version of a model has, and whether it may be unloaded while nobody asks for it."""

    replicas: int | None = None
    """None: as model.toml says."""
    min_replicas: int = 1
    max_replicas: int | None = None
    """What `replicas` may be set to; None: no bound."""
    is_on_demand: bool = False
    """Whether it is loaded by the first request for it, and unloaded when it is idle or others need the memory."""
    idle_unload_s: float | None = None
    """On demand: how long nobody may ask before it is unloaded; None: only when others need the memory."""
    is_pinned: bool = False
    """Whether it stays loaded whatever others need."""
    by_version: dict[int, int] = {}
    """Versions with a number of replicas of their own, whatever is said above; one with 0 is not loaded."""


STABLE = "stable"
"""The label of the version that answers requests that name none, where a model has this label."""


class ModelStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A model, its versions (highest first), the default one and the labels."""

    name: str
    versions: tuple[VersionStatus, ...]
    default_version: int | None
    labels: dict[str, int] = {}
    policy: VersionPolicy = VersionPolicy()
    route: ModelRoute | None = None
    scale: Scale = Scale()


_OWN_NUMBER = re.compile(r"([0-9]{1,18})(\.0+)*")


def own_number(own_name: str) -> int | None:
    """The whole number that an artefact's own name of a version stands for: `2` and `2.0.0` are 2; None for others."""
    found = _OWN_NUMBER.fullmatch(own_name)
    return int(found[1]) if found else None


def own_name_or_number(own_name: str, number: int) -> str:
    """What a version is called where versions have names such as `1.0`."""
    return own_name or f"{number}.0"


def nested_list_shape(values: Any) -> tuple[int, ...]:
    """The shape that nested lists claim, read along their first elements."""
    shape: list[int] = []
    while isinstance(values, list):
        shape.append(len(values))
        if not values:
            break
        values = values[0]
    return tuple(shape)


def shape_matches(spec: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether a concrete shape fits a spec with free dimensions."""
    return len(spec) == len(shape) and all(want in (-1, have) for want, have in zip(spec, shape, strict=True))


def as_array(tensor: Tensor) -> Array:
    """The tensor's values as a NumPy array of its shape (BYTES: an object array of bytes; BF16 is not supported)."""
    from salver_worker.frames import NUMPY_NAMES

    if tensor.datatype == "BYTES":
        array = np.empty(len(tensor.data), dtype=object)
        array[:] = tensor.data
        return array.reshape(tensor.shape)
    dtype = NUMPY_NAMES[tensor.datatype]
    data = tensor.data
    if isinstance(data, SlabSlice):
        data = data.view
    if isinstance(data, (bytes, bytearray, memoryview)):
        return np.frombuffer(data, dtype).reshape(tensor.shape)
    return np.asarray(data, dtype).reshape(tensor.shape)
