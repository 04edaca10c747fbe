"""Every flag of TensorFlow Serving's command as a row: what it takes, and what becomes of it here. Pure."""

from __future__ import annotations

import enum
from typing import Literal

import msgspec

Kind = Literal["text", "integer", "number", "switch"]


class Fate(enum.Enum):
    """What becomes of a flag."""

    MAPPED = "does the same"
    ALWAYS = "is so always"
    NOTED = "accepted, without effect"
    REFUSED = "refused"


class ServingFlag(msgspec.Struct, frozen=True, kw_only=True):
    """One flag. `meaning` says what it does here, or why it does nothing; `fix` what to do instead."""

    name: str
    kind: Kind
    default: str = ""
    fate: Fate
    meaning: str
    fix: str = ""


def _mapped(name: str, kind: Kind, default: str, meaning: str) -> ServingFlag:
    return ServingFlag(name=name, kind=kind, default=default, fate=Fate.MAPPED, meaning=meaning)


def _always(name: str, kind: Kind, default: str, meaning: str) -> ServingFlag:
    return ServingFlag(name=name, kind=kind, default=default, fate=Fate.ALWAYS, meaning=meaning)


def _noted(name: str, kind: Kind, default: str, meaning: str) -> ServingFlag:
    return ServingFlag(name=name, kind=kind, default=default, fate=Fate.NOTED, meaning=meaning)


def _refused(name: str, kind: Kind, meaning: str, fix: str) -> ServingFlag:
    return ServingFlag(name=name, kind=kind, fate=Fate.REFUSED, meaning=meaning, fix=fix)


_THREADS = "workers are processes, and front ends need no threads"
_TENSORFLOW = "it sets up TensorFlow's own runtime"
_PROXY = "Put a TLS proxy in front of the port, and leave this flag out."

FLAGS: tuple[ServingFlag, ...] = (
    _mapped("port", "integer", "8500", "the port of gRPC"),
    _mapped("rest_api_port", "integer", "0", "the port of REST; 0 opens none"),
    _mapped("model_name", "text", "default", "the name of the only model; not looked at with model_config_file"),
    _mapped(
        "model_base_path",
        "text",
        "",
        "the folder of its numbered versions, or a bucket: `s3://`, `gs://`; not looked at with model_config_file",
    ),
    _mapped("model_config_file", "text", "", "a file in text format with many models, policies and labels"),
    _mapped("model_config_file_poll_wait_seconds", "integer", "0", "how often that file is looked at; 0: once"),
    _mapped("file_system_poll_wait_seconds", "integer", "1", "`watch_s`; 0 or less: the folders are read at the start"),
    _mapped(
        "allow_version_labels_for_unavailable_models",
        "switch",
        "false",
        "a new label may name a version that cannot answer yet",
    ),
    _mapped(
        "rest_api_timeout_in_ms", "integer", "30000", "`deadline_s`, which holds for gRPC too where no deadline came"
    ),
    _mapped("rest_api_enable_cors_support", "switch", "false", "`tfs_cors`"),
    _mapped(
        "enable_batching", "switch", "false", "batch sizes as the parameters say; without it they are Salver's own"
    ),
    _mapped("batching_parameters_file", "text", "", "needs enable_batching; what it asks for and does not get is told"),
    _mapped(
        "enable_per_model_batching_parameters",
        "switch",
        "false",
        "`batching_params.pbtxt` in a version's folder sets its batches",
    ),
    _mapped("monitoring_config_file", "text", "", "`tfs_monitoring_path`: metrics at the REST port"),
    _mapped("enable_model_warmup", "switch", "true", "`warm_up_rounds` 1 or 0: recorded requests of assets.extra"),
    _mapped("num_request_iterations_for_warmup", "integer", "1", "`warm_up_rounds`"),
    _mapped("tensorflow_session_parallelism", "integer", "0", "`threads` of each worker, when above 0"),
    _mapped("tensorflow_intra_op_parallelism", "integer", "0", "`threads` of each worker, when above 0"),
    _mapped("version", "switch", "false", "prints the version and ends"),
    _always("enable_grpc_healthcheck_service", "switch", "false", "grpc.health.v1 answers at the gRPC port"),
    _noted(
        "grpc_channel_arguments",
        "text",
        "",
        "the gRPC port has limits of its own; messages may be as large as `max_body_mb` says",
    ),
    _noted("grpc_max_threads", "integer", "", _THREADS),
    _noted("rest_api_num_threads", "integer", "", f"{_THREADS}; `processes` is how many front ends there are"),
    _noted("num_load_threads", "integer", "0", "models are loaded at the same time, each in a process of its own"),
    _noted("num_unload_threads", "integer", "0", "models are unloaded at the same time"),
    _noted(
        "max_num_load_retries",
        "integer",
        "5",
        "a version that says why it cannot be loaded is not tried again by itself; one whose worker dies is",
    ),
    _noted("load_retry_interval_micros", "integer", "60000000", "pauses grow from `backoff_min_s` to `backoff_max_s`"),
    _noted("flush_filesystem_caches", "switch", "true", "the system gives its caches back when memory is short"),
    _noted("tensorflow_inter_op_parallelism", "integer", "0", "a worker runs one batch at a time"),
    _noted("per_process_gpu_memory_fraction", "number", "0", "a model's own framework decides"),
    _noted("saved_model_tags", "text", "serve", "the runtime of a model finds its own graph"),
    _noted("prefer_tflite_model", "switch", "false", "a version's folder holds one model"),
    _noted("num_tflite_interpreters_per_pool", "integer", "1", "replicas are what runs at the same time"),
    _noted("num_tflite_pools", "integer", "1", "replicas are what runs at the same time"),
    _noted(
        "enable_signature_method_name_check",
        "switch",
        "false",
        "signatures have no method names: what a signature takes and gives decides",
    ),
    _noted("enable_serialization_as_tensor_content", "switch", "false", "answers have values; clients read either"),
    _noted("remove_unused_fields_from_bundle_metagraph", "switch", "true", _TENSORFLOW),
    _noted("xla_cpu_compilation_enabled", "switch", "false", _TENSORFLOW),
    _noted("mixed_precision", "text", "", _TENSORFLOW),
    _noted("skip_initialize_tpu", "switch", "false", _TENSORFLOW),
    _noted("enable_profiler", "switch", "true", "there is no profiler to be reached over the network"),
    _noted("tensorflow_session_config_file", "text", "", _TENSORFLOW),
    _refused(
        "ssl_config_file",
        "text",
        "the server has no TLS of its own, and without it the port would be open to whoever reads along",
        _PROXY,
    ),
    _refused(
        "grpc_socket_path",
        "text",
        "gRPC answers at its port alone",
        "Leave it out; callers of this machine reach --port on 127.0.0.1.",
    ),
    _refused("use_alts_credentials", "switch", "ALTS is known on Google's own machines alone", _PROXY),
    _refused(
        "platform_config_file",
        "text",
        "it replaces the platforms that are built in",
        "Leave it out: the runtime is found by the model's files, or named in model.toml.",
    ),
    _refused(
        "thread_pool_factory_config_file",
        "text",
        "it names C++ that is linked into the original",
        "Leave it out; `threads` in model.toml sets a worker's threads.",
    ),
)
BY_NAME = {flag.name: flag for flag in FLAGS}


def table() -> str:
    """The table of the page about the command."""
    lines = ["| flag | default | here |", "|---|---|---|"]
    for flag in FLAGS:
        default = f"`{flag.default}`" if flag.default else ""
        text = flag.meaning if flag.fate is Fate.MAPPED else f"{flag.fate.value}: {flag.meaning}"
        if flag.fate is Fate.REFUSED:
            text = f"**{flag.fate.value}**: {flag.meaning}. {flag.fix}"
        lines.append(f"| `--{flag.name}` | {default} | {text} |")
    return "\n".join(lines)
