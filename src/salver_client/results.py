"""What the server's answers become: frozen values with names and types.

Each is built from the JSON of an answer. Fields that a newer server adds are ignored, so an older client keeps working.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

from salver_client.errors import SalverClientError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Json: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorSpec:
    """One named input or output; a dimension of -1 is free."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    @classmethod
    def of(cls, json: Json) -> TensorSpec:
        return cls(name=json["name"], datatype=json["datatype"], shape=tuple(json["shape"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """What a model takes and gives. `has_ranking`: its answers come as classes with probabilities too."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    has_ranking: bool = False

    @classmethod
    def of(cls, json: Json) -> Signature:
        return cls(
            inputs=tuple(map(TensorSpec.of, json["inputs"])),
            outputs=tuple(map(TensorSpec.of, json["outputs"])),
            has_ranking=json.get("ranking") is not None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One worker process."""

    id: str
    pid: int | None
    state: str
    started_at: datetime
    restarts: int
    rss_bytes: int
    reason: str

    @classmethod
    def of(cls, json: Json) -> Replica:
        return cls(
            id=json["id"],
            pid=json["pid"],
            state=json["state"],
            started_at=datetime.fromisoformat(json["started_at"]),
            restarts=json["restarts"],
            rss_bytes=json["rss_bytes"],
            reason=json["reason"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a model. In a list of models only the fields without a default are filled."""

    version: int
    state: str
    runtime: str
    replicas_ready: int
    replicas_wanted: int
    reason: str
    fix: str = ""
    description: str = ""
    source: str = ""
    environment: str = ""
    deadline_s: float | None = None
    signatures: Mapping[str, Signature] = field(default_factory=dict)
    details: Mapping[str, str] = field(default_factory=dict)
    replicas: tuple[Replica, ...] = ()
    log_tail: tuple[str, ...] = ()

    @property
    def is_ready(self) -> bool:
        return self.replicas_ready > 0

    @classmethod
    def of(cls, json: Json) -> Version:
        return cls(
            version=json["version"],
            state=json["state"],
            runtime=json["runtime"],
            replicas_ready=json["replicas_ready"],
            replicas_wanted=json["replicas_wanted"],
            reason=json["reason"],
            fix=json.get("fix", ""),
            description=json.get("description", ""),
            source=json.get("source", ""),
            environment=json.get("environment", ""),
            deadline_s=json.get("deadline_s"),
            signatures={name: Signature.of(signature) for name, signature in json.get("signatures", {}).items()},
            details=json.get("details", {}),
            replicas=tuple(map(Replica.of, json.get("replicas", ()))),
            log_tail=tuple(json.get("log_tail", ())),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """Which versions answer requests that name none, by weight; `sticky` says what keeps a caller with one."""

    weights: Mapping[int, int]
    sticky: str = ""

    @classmethod
    def of(cls, json: Json) -> Route:
        weights = {int(version): weight for version, weight in json["weights"].items()}
        return cls(weights=weights, sticky=json["sticky"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Which versions are loaded (latest, specific, all), and what a switch keeps (availability, resources)."""

    policy: str
    count: int
    versions: tuple[int, ...]
    preserve: str

    @classmethod
    def of(cls, json: Json) -> Policy:
        return cls(
            policy=json["policy"], count=json["count"], versions=tuple(json["versions"]), preserve=json["preserve"]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How many replicas each version has (None: as its model.toml says), and whether it may sleep."""

    replicas: int | None
    min_replicas: int
    max_replicas: int | None
    on_demand: bool
    idle_unload_s: float | None
    pinned: bool

    @classmethod
    def of(cls, json: Json) -> Scale:
        return cls(**{name: json[name] for name in cls.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model with its versions, highest first. In a list of models policy and scale are not told."""

    name: str
    default_version: int | None
    labels: Mapping[str, int]
    versions: tuple[Version, ...]
    route: Route | None = None
    policy: Policy | None = None
    scale: Scale | None = None

    @property
    def is_ready(self) -> bool:
        """Whether the default version has a replica that answers."""
        return any(entry.is_ready for entry in self.versions if entry.version == self.default_version)

    @classmethod
    def of(cls, json: Json) -> Model:
        return cls(
            name=json["name"],
            default_version=json["default_version"],
            labels=json["labels"],
            versions=tuple(map(Version.of, json["versions"])),
            route=Route.of(json["route"]) if json.get("route") is not None else None,
            policy=Policy.of(json["policy"]) if json.get("policy") is not None else None,
            scale=Scale.of(json["scale"]) if json.get("scale") is not None else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a version cannot be loaded; it is not tried again until somebody asks."""

    code: str
    message: str
    fix: str
    exception: str
    log_tail: tuple[str, ...]
    at: datetime

    @classmethod
    def of(cls, json: Json) -> Failure:
        return cls(
            code=json["code"],
            message=json["message"],
            fix=json["fix"],
            exception=json["exception"],
            log_tail=tuple(json["log_tail"]),
            at=datetime.fromisoformat(json["at"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredVersion:
    """One version, loaded or not (`state` is None then); one of the command line has no digest."""

    version: int
    state: str | None
    is_default: bool
    labels: tuple[str, ...]
    weight: int
    source: str
    digest: str
    size_bytes: int
    created_at: datetime | None
    created_by: str
    failure: Failure | None
    reason: str = ""

    @classmethod
    def of(cls, json: Json) -> StoredVersion:
        return cls(
            version=json["version"],
            state=json["state"],
            is_default=json["default"],
            labels=tuple(json["labels"]),
            weight=json["weight"],
            source=json["source"],
            digest=json["digest"],
            size_bytes=json["size_bytes"],
            created_at=_moment(json["created_at"]),
            created_by=json["created_by"],
            failure=None if json["failure"] is None else Failure.of(json["failure"]),
            reason=json.get("reason", ""),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionList:
    """A model's versions, highest first; `revision` counts the changes of the model."""

    model: str
    revision: int
    versions: tuple[StoredVersion, ...]

    @classmethod
    def of(cls, json: Json) -> VersionList:
        return cls(
            model=json["model"],
            revision=json["revision"],
            versions=tuple(map(StoredVersion.of, json["versions"])),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a change did, or as a plan would do, and how the model stands now (None: nothing is left of it).

    `digest` is of the version that it is about, where the server keeps that one. A change is kept even when its version
    cannot be loaded: the states in `now` tell.
    """

    model: str
    version: int | None
    is_plan: bool
    steps: tuple[str, ...]
    warnings: tuple[str, ...]
    revision: int
    is_settled: bool
    now: Model | None
    digest: str = ""

    @property
    def failures(self) -> tuple[Version, ...]:
        """Versions that should serve and cannot."""
        return () if self.now is None else tuple(each for each in self.now.versions if each.state in BROKEN)

    @classmethod
    def of(cls, json: Json) -> Outcome:
        return cls(
            model=json["model"],
            version=json["version"],
            is_plan=json["plan"],
            steps=tuple(json["steps"]),
            warnings=tuple(json["warnings"]),
            revision=json["revision"],
            is_settled=json["settled"],
            now=None if json["now"] is None else Model.of(json["now"]),
            digest=json.get("digest", ""),
        )


BROKEN = frozenset({"FAILED", "CRASHLOOP"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A class and how sure the model is of it."""

    label: str
    probability: float | None

    @classmethod
    def of(cls, json: Json) -> Ranked:
        return cls(label=json["class"], probability=json["probability"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """A model's answer.

    `outputs` holds nested lists by output name; None stands for NaN and the infinities. `ranking` has one list per
    row, highest first, for models that rank. A model whose own code writes the answer fills `body` and `content_type`
    instead. `understood` is the form of the request that the server recognised.
    """

    model: str
    version: int
    outputs: Mapping[str, Any] = field(default_factory=dict)
    ranking: tuple[tuple[Ranked, ...], ...] | None = None
    body: bytes | None = None
    content_type: str = ""
    understood: str = ""
    request_id: str = ""

    def output(self, name: str = "") -> Any:
        """The output of this name; without a name the only one. Raises SalverClientError(INVALID_INPUT)."""
        if name in self.outputs:
            return self.outputs[name]
        if not name and len(self.outputs) == 1:
            return next(iter(self.outputs.values()))
        raise SalverClientError(
            "INVALID_INPUT",
            f"The answer has no output {name!r}." if name else "The answer does not have exactly one output.",
            fix=f"Name one of: {', '.join(self.outputs) or 'none, this answer is a body'}.",
        )

    def array(self, name: str = "") -> npt.NDArray[Any]:
        """`output` as a NumPy array, with NaN for None."""
        import numpy as np

        values = self.output(name)
        array: npt.NDArray[Any] = np.array(values)
        return _with_nan(array, np.float64) if array.dtype == object else array

    def frame(self) -> Any:
        """The outputs as a pandas DataFrame: a column for each, of lists where a row has several values."""
        import pandas as pd

        return pd.DataFrame({name: list(values) for name, values in self.outputs.items()})

    @classmethod
    def of(cls, json: Json, *, understood: str, request_id: str) -> Prediction:
        ranking = json.get("ranking")
        return cls(
            model=json["model"],
            version=json["version"],
            outputs=json["outputs"],
            ranking=None if ranking is None else tuple(tuple(map(Ranked.of, row)) for row in ranking),
            content_type="application/json",
            understood=understood,
            request_id=request_id,
        )


def _with_nan(array: npt.NDArray[Any], dtype: type[np.float64]) -> npt.NDArray[Any]:
    """Numbers among None become floats; what cannot (strings among objects) stays as it is."""
    try:
        return array.astype(dtype)
    except (TypeError, ValueError):
        return array


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """Whether the server can answer for every model, and what is missing."""

    is_ready: bool
    reasons: tuple[str, ...] = ()
    replicas_ready: int = 0
    replicas_wanted: int = 0

    @classmethod
    def of(cls, json: Json) -> Readiness:
        return cls(
            is_ready=json["ready"],
            reasons=tuple(json.get("reasons", ())),
            replicas_ready=json.get("replicas_ready", 0),
            replicas_wanted=json.get("replicas_wanted", 0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """What the server tells of a key; times in UTC."""

    id: str
    label: str
    role: str
    models: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    requests_per_second: float | None

    @classmethod
    def of(cls, json: Json) -> Key:
        return cls(
            id=json["id"],
            label=json["label"],
            role=json["role"],
            models=tuple(json["models"]),
            created_at=datetime.fromisoformat(json["created_at"]),
            created_by=json["created_by"],
            expires_at=_moment(json["expires_at"]),
            revoked_at=_moment(json["revoked_at"]),
            requests_per_second=json["requests_per_second"],
        )


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class CreatedKey:
    """A new key: the secret, shown this once, and what is kept of it."""

    key: str = field(repr=False)
    record: Key

    @classmethod
    def of(cls, json: Json) -> CreatedKey:
        return cls(key=json["key"], record=Key.of(json))


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLine:
    """One line of the audit log."""

    sequence: int
    at: datetime
    principal: str
    operation: str
    scope: str
    decision: str
    outcome: str
    request_id: str
    peer: str
    detail: str
    digest: str

    @classmethod
    def of(cls, json: Json) -> AuditLine:
        return cls(**{**{name: json[name] for name in cls.__slots__}, "at": datetime.fromisoformat(json["at"])})
