"""Every key of config.properties, of both servers, and what becomes of it here. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

Fate = Literal["used", "noted", "refused"]
Server = Literal["mms", "torchserve"]
BOTH: tuple[Server, ...] = ("mms", "torchserve")
MMS: tuple[Server, ...] = ("mms",)
TORCHSERVE: tuple[Server, ...] = ("torchserve",)


class Key(msgspec.Struct, frozen=True):
    """One key. `told` says what it sets, or why it sets nothing, or what to do instead."""

    name: str
    servers: tuple[Server, ...]
    fate: Fate
    told: str
    setting: str = ""
    """The setting of the same meaning, where there is one."""
    is_quiet: bool = False
    """Whether nothing is missed when it sets nothing, so that no start needs to tell."""


_JVM = "it tunes the Java front end, and there is none here"
_NO_TLS = "only https addresses need it, and those are refused: the server has no TLS"
_NO_CORS = "no CORS headers are sent: pages of other origins must come through a proxy that adds them"
_NO_GPU_NUMBERS = (
    "workers choose their own device; set CUDA_VISIBLE_DEVICES under [environment.variables] in model.toml"
)
_LAUNCHER = "workers are started by the server's own Python; set the threads of a model in its model.toml"
_AGE = "connections of gRPC have no age here"

KEYS: tuple[Key, ...] = (
    Key("inference_address", BOTH, "used", "where predictions are answered", "doors"),
    Key("management_address", BOTH, "used", "where the management API answers", "doors"),
    Key("metrics_address", TORCHSERVE, "used", "where the metrics API answers", "doors"),
    Key("grpc_inference_address", TORCHSERVE, "used", "the host of gRPC predictions", "doors"),
    Key("grpc_inference_port", TORCHSERVE, "used", "the port of gRPC predictions", "doors"),
    Key("grpc_management_address", TORCHSERVE, "used", "the host of gRPC management", "doors"),
    Key("grpc_management_port", TORCHSERVE, "used", "the port of gRPC management", "doors"),
    Key("model_store", BOTH, "used", "the folder of the archives that may be loaded", "model_store"),
    Key("workflow_store", TORCHSERVE, "used", "the folder of the workflows that may be loaded", "workflow_store"),
    Key("load_models", BOTH, "used", "the models of the start: `ALL`, or `name=file` with commas between"),
    Key("models", TORCHSERVE, "used", "per model and version: minWorkers, batchSize, maxBatchDelay, responseTimeout"),
    Key("model_snapshot", TORCHSERVE, "used", "the models of the start, with their versions, workers and batches"),
    Key(
        "default_workers_per_model",
        BOTH,
        "used",
        "workers of a model of the start, and of one registered without a number; 0 is the number of CPUs at the start",
        "default_workers_per_model",
    ),
    Key("job_queue_size", BOTH, "used", "rows that may wait for a model; the default is 100", "max_queue_rows"),
    Key("default_response_timeout", BOTH, "used", "seconds that a request may take; the default is 120", "deadline_s"),
    Key("default_response_timeout_seconds", MMS, "used", "the same, and wins", "deadline_s"),
    Key("default_startup_timeout", TORCHSERVE, "used", "seconds that loading may take", "load_timeout_s"),
    Key("unregister_model_timeout", BOTH, "used", "seconds that a model which is removed may go on", "version_drain_s"),
    Key("max_request_size", BOTH, "used", "bytes of the largest request; the default is 6553500", "max_body_mb"),
    Key("decode_input_request", BOTH, "used", "whether handlers get JSON and text decoded", "decode_input_request"),
    Key("default_service_handler", BOTH, "used", "the handler of archives that name none", "default_service_handler"),
    Key("service_envelope", TORCHSERVE, "used", "how requests are unpacked for a handler", "service_envelope"),
    Key(
        "ts_open_inference_protocol",
        TORCHSERVE,
        "used",
        "answers V2 addresses, and the service of Open Inference over gRPC, as TorchServe does; so does the variable "
        "`TS_OPEN_INFERENCE_PROTOCOL=oip`",
        "ts_open_inference_protocol",
    ),
    Key("metrics_mode", TORCHSERVE, "used", "where metrics of handlers go", "handler_metrics"),
    Key("metrics_config", TORCHSERVE, "used", "the file that declares metrics", "metrics_config"),
    Key("enable_metrics_api", TORCHSERVE, "used", "`false` leaves the metrics address closed", "doors"),
    Key("disable_token_authorization", TORCHSERVE, "used", "`true` asks for no token", "token_authorization"),
    Key("token_expiration_min", TORCHSERVE, "used", "minutes that a token is good for", "token_expiration_min"),
    Key("enable_model_api", TORCHSERVE, "used", "`true` lets models be registered and removed", "model_control"),
    Key("enable_envvars_config", BOTH, "used", "lets `MMS_<KEY>` or `TS_<KEY>` in the environment win over the file"),
    Key("debug", BOTH, "used", "`true` logs more", "log_level"),
    Key(
        "max_response_size",
        BOTH,
        "noted",
        "an answer may have any size; a client that does not read it is cut off",
        is_quiet=True,
    ),
    Key("preload_model", MMS, "noted", "each worker loads its model itself; none is forked off another"),
    Key("number_of_gpu", BOTH, "noted", _NO_GPU_NUMBERS),
    Key(
        "blacklist_env_vars",
        BOTH,
        "noted",
        "workers see no variable of the server but a few harmless ones",
        is_quiet=True,
    ),
    Key(
        "allowed_urls",
        TORCHSERVE,
        "noted",
        "models come from the model store, and from `remotes` with their digest",
    ),
    Key("use_env_allowed_urls", TORCHSERVE, "noted", "as for allowed_urls", is_quiet=True),
    Key(
        "install_py_dep_per_model",
        TORCHSERVE,
        "noted",
        "nothing is installed while a model loads; give the model an environment that has what it needs",
    ),
    Key("limit_max_image_pixels", TORCHSERVE, "noted", "pictures are decoded under Pillow's own limit", is_quiet=True),
    Key("cors_allowed_origin", BOTH, "noted", _NO_CORS),
    Key("cors_allowed_methods", BOTH, "noted", _NO_CORS, is_quiet=True),
    Key("cors_allowed_headers", BOTH, "noted", _NO_CORS, is_quiet=True),
    Key("keystore", BOTH, "noted", _NO_TLS),
    Key("keystore_pass", BOTH, "noted", _NO_TLS, is_quiet=True),
    Key("keystore_type", BOTH, "noted", _NO_TLS, is_quiet=True),
    Key("private_key_file", BOTH, "noted", _NO_TLS),
    Key("certificate_file", BOTH, "noted", _NO_TLS),
    Key("enable_grpc_ssl", TORCHSERVE, "refused", "the server has no TLS; put a TLS proxy in front of it"),
    Key(
        "plugins_path",
        BOTH,
        "refused",
        "plug-ins are Java, and there is none here; what a plug-in did needs another way",
    ),
    Key("metric_time_interval", BOTH, "noted", "metrics are made when they are asked for", is_quiet=True),
    Key("disable_system_metrics", TORCHSERVE, "noted", "metrics are made when they are asked for", is_quiet=True),
    Key("system_metrics_cmd", TORCHSERVE, "noted", "no other program is run for metrics"),
    Key("model_metrics_auto_detect", TORCHSERVE, "noted", "metrics of handlers are taken as they come", is_quiet=True),
    Key("number_of_netty_threads", BOTH, "noted", _JVM, is_quiet=True),
    Key("netty_client_threads", BOTH, "noted", _JVM, is_quiet=True),
    Key("use_native_io", BOTH, "noted", _JVM, is_quiet=True),
    Key("io_ratio", BOTH, "noted", _JVM, is_quiet=True),
    Key("prefer_direct_buffer", BOTH, "noted", _JVM, is_quiet=True),
    Key("async_logging", BOTH, "noted", "logging never waits for the disk", is_quiet=True),
    Key("vmargs", BOTH, "noted", _JVM, is_quiet=True),
    Key("model_server_home", BOTH, "noted", _JVM, is_quiet=True),
    Key("version", TORCHSERVE, "noted", "a snapshot names the version that wrote it", is_quiet=True),
    Key("ipex_enable", TORCHSERVE, "noted", _LAUNCHER),
    Key("ipex_gpu_enable", TORCHSERVE, "noted", _LAUNCHER),
    Key("cpu_launcher_enable", TORCHSERVE, "noted", _LAUNCHER),
    Key("cpu_launcher_args", TORCHSERVE, "noted", _LAUNCHER),
    Key("initial_worker_port", TORCHSERVE, "noted", "workers have no ports here", is_quiet=True),
    Key("initial_distribution_port", TORCHSERVE, "noted", "workers have no ports here", is_quiet=True),
    Key("cpp_log_config", TORCHSERVE, "noted", "there is no C++ back end here"),
    Key("grpc_inference_max_connection_age_ms", TORCHSERVE, "noted", _AGE, is_quiet=True),
    Key("grpc_inference_max_connection_age_grace_ms", TORCHSERVE, "noted", _AGE, is_quiet=True),
    Key("grpc_management_max_connection_age_ms", TORCHSERVE, "noted", _AGE, is_quiet=True),
    Key("grpc_management_max_connection_age_grace_ms", TORCHSERVE, "noted", _AGE, is_quiet=True),
    Key("ts_header_key_sequence_id", TORCHSERVE, "noted", "sequences are not kept together by a header"),
    Key("ts_header_key_sequence_start", TORCHSERVE, "noted", "as for ts_header_key_sequence_id", is_quiet=True),
    Key("ts_header_key_sequence_end", TORCHSERVE, "noted", "as for ts_header_key_sequence_id", is_quiet=True),
)


def key_named(name: str, server: Server) -> Key | None:
    return next((key for key in KEYS if key.name == name and server in key.servers), None)


def keys_table() -> str:
    """The rows of the table in docs/wires/mms-commands.md."""
    words = {"used": "", "noted": "sets nothing: ", "refused": "refused: "}
    of = {BOTH: "both", MMS: "MMS", TORCHSERVE: "TorchServe"}
    return "".join(
        f"| `{key.name}` | {of[key.servers]} | {f'`{key.setting}`' if key.setting else ''} "
        f"| {words[key.fate]}{key.told} |\n"
        for key in KEYS
    )
