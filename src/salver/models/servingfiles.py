"""The files of TensorFlow Serving's command, in protobuf's text format: models, batches, monitoring. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from salver.errors import Code, LoadError
from salver.models.configured import Configuration, ConfiguredModel
from salver.models.manifest import BatchingSection
from salver.models.textproto import INT32, UINT32, Field, Message, Place, TextProtoError, parse
from salver.types import PolicyKind, VersionPolicy

MONITORING_PATH = "/monitoring/prometheus/metrics"
MODEL_TYPES = {"MODEL_TYPE_UNSPECIFIED": 0, "TENSORFLOW": 1, "OTHER": 2}
MODEL_FIELDS = frozenset(
    {
        "name",
        "base_path",
        "model_type",
        "model_platform",
        "logging_config",
        "model_version_policy",
        "version_labels",
    }
)
BATCHING_FIELDS = frozenset(
    {
        "max_batch_size",
        "batch_timeout_micros",
        "max_enqueued_batches",
        "num_batch_threads",
        "thread_pool_name",
        "allowed_batch_sizes",
        "pad_variable_length_inputs",
        "enable_large_batch_splitting",
        "max_execution_batch_size",
        "mixed_priority_batching_policy",
        "low_priority_max_batch_size",
        "low_priority_batch_timeout_micros",
        "low_priority_max_enqueued_batches",
        "low_priority_allowed_batch_sizes",
    }
)
MAX_BATCH_SIZE = 1000
MAX_ENQUEUED_BATCHES = 10
"""What the original takes where its file says nothing."""


class Batching(msgspec.Struct, frozen=True, kw_only=True):
    """Batches as a parameters file wants them."""

    max_batch_rows: int = MAX_BATCH_SIZE
    max_batch_delay_ms: float = 0.0
    max_queue_rows: int = MAX_BATCH_SIZE * MAX_ENQUEUED_BATCHES
    notes: tuple[str, ...] = ()
    """What it asks for and does not get, or gets in another way."""

    @property
    def section(self) -> BatchingSection:
        """The same as the part of a model.toml."""
        return BatchingSection(
            max_batch_rows=self.max_batch_rows,
            max_batch_delay_ms=self.max_batch_delay_ms,
            max_queue_rows=self.max_queue_rows,
        )


def read_models(text: str, path: str) -> Configuration:
    """The models of a `model_config_file`. Raises LoadError(SETTINGS_INVALID) with the line."""
    try:
        return _models(parse(text))
    except TextProtoError as error:
        raise _unreadable(path, "ModelServerConfig", error) from error


def read_batching(text: str, path: str) -> Batching:
    """A `batching_parameters_file`. Raises LoadError(SETTINGS_INVALID) with the line."""
    try:
        return _batching(parse(text))
    except TextProtoError as error:
        raise _unreadable(path, "BatchingParameters", error) from error


def read_monitoring(text: str, path: str) -> str:
    """Where a `monitoring_config_file` wants the metrics; empty: nowhere. Raises LoadError(SETTINGS_INVALID)."""
    try:
        message = parse(text)
        _refuse(message.beyond({"prometheus_config"}))
        prometheus = message.message("prometheus_config")
        if prometheus is None:
            return ""
        _refuse(prometheus.beyond({"enable", "path"}))
        if not prometheus.boolean("enable"):
            return ""
        place = prometheus.string("path") or MONITORING_PATH
        if not place.startswith("/") or any(sign in place for sign in "{}?#% \t"):
            raise TextProtoError(_place(prometheus, "path"), f"{place!r} is no path of an address")
        return place
    except TextProtoError as error:
        raise _unreadable(path, "MonitoringConfig", error) from error


# Models


def _models(message: Message) -> Configuration:
    _refuse(message.beyond({"model_config_list", "custom_model_config"}))
    if message.has("custom_model_config"):
        raise TextProtoError(_place(message, "custom_model_config"), "custom_model_config is not supported")
    lists = message.message("model_config_list")
    if lists is None:
        return ()
    _refuse(lists.beyond({"config"}))
    return tuple(_model(each) for each in lists.messages("config"))


def _model(config: Message) -> ConfiguredModel:
    _refuse(config.beyond(MODEL_FIELDS))
    return ConfiguredModel(
        name=config.string("name"),
        base_path=config.string("base_path"),
        platform=_platform(config),
        policy=_policy(config.message("model_version_policy")),
        labels={label: entry.integer("value") for label, entry in config.entries("version_labels").items()},
    )


def _platform(config: Message) -> str:
    kind = config.enum("model_type", MODEL_TYPES, "MODEL_TYPE_UNSPECIFIED")
    platform = config.string("model_platform")
    is_typed = kind != "MODEL_TYPE_UNSPECIFIED"
    name = config.string("name")
    if is_typed and platform:
        text = "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform"
        raise TextProtoError(_place(config, "model_platform"), f"{text}: {name}")
    if not is_typed and not platform:
        text = (
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform"
        )
        raise TextProtoError(config.place, f"{text}: {name}")
    return platform or kind.lower()


def _policy(policy: Message | None) -> VersionPolicy:
    if policy is None:
        return VersionPolicy(highest_answers=True)
    _refuse(policy.beyond({"latest", "all", "specific"}))
    chosen = [name for name in ("latest", "all", "specific") if policy.has(name)]
    if len(chosen) > 1:
        raise TextProtoError(_place(policy, chosen[1]), f"the policy is {chosen[0]} already")
    if chosen == ["all"]:
        return VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
    if chosen == ["specific"]:
        specific = policy.message("specific")
        assert specific is not None
        versions = specific.integers("versions")
        return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=tuple(sorted(set(versions))), highest_answers=True)
    latest = policy.message("latest")
    count = 1 if latest is None else latest.integer("num_versions", 1, within=UINT32)
    return VersionPolicy(count=max(1, count), highest_answers=True)


# Batches


def _batching(message: Message) -> Batching:
    _refuse(message.beyond(BATCHING_FIELDS))
    size = _wrapped(message, "max_batch_size", MAX_BATCH_SIZE, at_least=1)
    execution = _wrapped(message, "max_execution_batch_size", size, at_least=1)
    waiting = _wrapped(message, "max_enqueued_batches", MAX_ENQUEUED_BATCHES, at_least=1)
    sizes = message.integers("allowed_batch_sizes")
    _check_sizes(message, sizes, min(size, execution))
    return Batching(
        max_batch_rows=min(size, execution),
        max_batch_delay_ms=_wrapped(message, "batch_timeout_micros", 0, at_least=0) / 1000,
        max_queue_rows=min(waiting * size, INT32.stop - 1),
        notes=tuple(_batching_notes(message)),
    )


def _check_sizes(message: Message, sizes: tuple[int, ...], size: int) -> None:
    if not sizes:
        return
    if list(sizes) != sorted(set(sizes)) or sizes[0] < 1:
        raise TextProtoError(
            _place(message, "allowed_batch_sizes"), "allowed_batch_sizes entries must be monotonically increasing"
        )
    if sizes[-1] != size:
        raise TextProtoError(
            _place(message, "allowed_batch_sizes"),
            f"final entry in allowed_batch_sizes must equal max_batch_size, which is {size}",
        )


def _batching_notes(message: Message) -> Iterator[str]:
    if message.has("num_batch_threads"):
        yield "num_batch_threads: a model takes one batch for each of its replicas; `salver scale` gives it more"
    if message.has("allowed_batch_sizes"):
        yield "allowed_batch_sizes: batches are not padded to given sizes; a model gets as many rows as there are"
    if message.boolean("pad_variable_length_inputs"):
        yield "pad_variable_length_inputs: inputs are not padded; those of one shape share a batch"
    if message.has("enable_large_batch_splitting"):
        yield "enable_large_batch_splitting: a request larger than a batch is always split, and answered as one"
    if message.has("thread_pool_name"):
        yield "thread_pool_name: it has no meaning here"
    if any(field.name.startswith(("low_priority", "mixed_priority")) for field in message.fields):
        yield "priorities: requests wait in one line"


def _wrapped(message: Message, name: str, default: int, *, at_least: int) -> int:
    """The value of `name { value: N }`."""
    wrapper = message.message(name)
    if wrapper is None:
        return default
    value = wrapper.integer("value", 0)
    if value < at_least:
        raise TextProtoError(_place(message, name), f"{name} must be {at_least} or more, not {value}")
    return value


# Faults


def _refuse(fields: tuple[Field, ...]) -> None:
    if fields:
        raise TextProtoError(fields[0].place, f"there is no field {fields[0].name!r} here")


def _place(message: Message, name: str) -> Place:
    """Where a field stands that is there, else where its message does."""
    return next((field.place for field in message.fields if field.name == name), message.place)


def _unreadable(path: str, kind: str, error: TextProtoError) -> LoadError:
    message = f"{path}: Error parsing text-format tensorflow.serving.{kind}: {error}"
    return LoadError(Code.SETTINGS_INVALID, message, fix="Correct the file at this line.")
