"""From a command line of TensorFlow Serving to what it asks of this server: settings, models, and words about the rest.

Pure but for the files that flags name, which are read by a function that is handed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from salver.cli.tensorflow_flags import BY_NAME, Fate, ServingFlag
from salver.errors import Code, StartupError
from salver.models.configfile import GivenConfiguration
from salver.models.configured import Configuration, ConfiguredModel, check_configuration
from salver.models.manifestwords import closest
from salver.models.servingfiles import Batching, read_batching, read_models, read_monitoring
from salver.settings import Setting, catalogue

TRUE = ("true", "1", "t", "yes", "y")
FALSE = ("false", "0", "f", "no", "n")
CONTAINER_REST_PORT = "8501"
"""The REST port in the original's container, whose entrypoint names it."""
LOOPBACK = "127.0.0.1"
_NAME = re.compile(r"--?([A-Za-z][A-Za-z0-9_-]*)(?:=(.*))?", re.DOTALL)

ReadFile = Callable[[str], str]


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What a command line comes to."""

    flags: dict[str, Any]
    """Settings that it chose, as flags of `salver serve` would."""
    given: GivenConfiguration
    notes: tuple[str, ...]


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A command line taken apart: the original's flags by name, and Salver's settings."""

    values: dict[str, str]
    settings: dict[str, Any]

    def text(self, name: str) -> str:
        return self.values.get(name, BY_NAME[name].default)

    def is_on(self, name: str) -> bool:
        return self.text(name).lower() in TRUE

    def integer(self, name: str) -> int:
        return int(self.text(name) or "0")


# Reading


def read_line(arguments: Sequence[str]) -> Line:
    """Flags as `--flag=value` and as `--flag value`. Raises StartupError(SETTINGS_INVALID)."""
    values: dict[str, str] = {}
    settings: dict[str, Any] = {}
    by_flag = {setting.name: setting for setting in catalogue()}
    rest = list(arguments)
    while rest:
        text = rest.pop(0)
        match = _NAME.fullmatch(text)
        if match is None:
            raise _invalid(f"{text!r} is no flag.", "Write flags as --flag=value or --flag value.")
        name, value = match[1].replace("-", "_"), match[2]
        flag, setting = BY_NAME.get(name), by_flag.get(name)
        if flag is None and setting is None and name.startswith("no_"):
            setting, value = by_flag.get(name.removeprefix("no_")), "false"
        if flag is None and setting is None:
            raise _unknown(name)
        is_switch = flag.kind == "switch" if flag is not None else bool(setting and setting.is_switch)
        if value is None:
            value = _next_value(name, is_switch=is_switch, rest=rest)
        if flag is not None:
            values[flag.name] = _checked(flag, value)
        elif setting is not None:
            _keep(settings, setting, value)
    return Line(values=values, settings=settings)


def _next_value(name: str, *, is_switch: bool, rest: list[str]) -> str:
    """The value that follows a flag; a switch alone is on."""
    if is_switch:
        return rest.pop(0) if rest and rest[0].lower() in (*TRUE, *FALSE) else "true"
    if not rest or rest[0].startswith("--"):
        raise _invalid(f"--{name} needs a value.", f"Write --{name}=VALUE.")
    return rest.pop(0)


def _checked(flag: ServingFlag, value: str) -> str:
    if flag.kind == "switch" and value.lower() not in (*TRUE, *FALSE):
        raise _invalid(f"--{flag.name} is true or false, not {value!r}.", f"Write --{flag.name}=true.")
    if flag.kind == "integer" and re.fullmatch(r"[+-]?[0-9]{1,18}", value) is None:
        raise _invalid(f"--{flag.name} is a whole number, not {value!r}.", f"Write for example --{flag.name}=1.")
    if flag.kind == "number" and re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?", value) is None:
        raise _invalid(f"--{flag.name} is a number, not {value!r}.", f"Write for example --{flag.name}=0.5.")
    return value


def _keep(settings: dict[str, Any], setting: Setting, value: str) -> None:
    if setting.is_list:
        settings[setting.name] = (*settings.get(setting.name, ()), value)
    elif setting.is_switch:
        settings[setting.name] = value.lower() in TRUE
    else:
        settings[setting.name] = value


def _unknown(name: str) -> StartupError:
    near = closest(name, [*BY_NAME, *(setting.name for setting in catalogue())])
    fix = f"Did you mean --{near}?" if near else "`salver tensorflow-model-server --help` lists the flags."
    return _invalid(f"There is no flag --{name}.", fix)


# What it comes to


def start_of(
    line: Line, environment: Mapping[str, str], read_file: ReadFile, *, is_container: bool, chosen: Mapping[str, Any]
) -> Start:
    """`chosen` are settings that a file or a variable has chosen: host, allowed_hosts, data_dir.

    Raises StartupError, and LoadError for a file that cannot be read.
    """
    _refuse(line)
    notes = list(_told(line))
    host = _host(line, chosen, is_container=is_container)
    if host == LOOPBACK and "host" not in line.settings and "host" not in chosen:
        notes.append(
            "the original listens on every address, this on 127.0.0.1 alone; --host=0.0.0.0 --insecure opens it to the "
            "network, and --anonymous=all to callers without a key"
        )
    is_from_container = _is_from_container(line, environment)
    rest_port = line.text("rest_api_port")
    if is_from_container and "rest_api_port" not in line.values:
        rest_port = CONTAINER_REST_PORT
    if int(rest_port) and int(rest_port) == line.integer("port"):
        raise _invalid("--rest_api_port cannot be same as --port.", "Please use a different port for HTTP/REST API.")
    batching = _batching(line, read_file)
    monitoring = line.text("monitoring_config_file")
    path = read_monitoring(read_file(monitoring), monitoring) if monitoring else ""
    if path and not int(rest_port):
        raise _invalid("--monitoring_config_file needs a REST port.", "Give one with --rest_api_port.")
    flags: dict[str, Any] = {
        **_defaults(line, host, chosen),
        **_mapped(line),
        **({"tfs_monitoring_path": path} if path else {}),
        **({} if batching is None else _batch_flags(batching)),
        "doors": tuple(_doors(line, host, int(rest_port))),
        **line.settings,
    }
    if batching is not None:
        notes += batching.notes
    given = GivenConfiguration(
        models=_models(line, environment, read_file),
        file=line.text("model_config_file"),
        poll_s=float(max(0, line.integer("model_config_file_poll_wait_seconds"))),
        allow_unavailable=line.is_on("allow_version_labels_for_unavailable_models"),
        has_own_batching=line.is_on("enable_per_model_batching_parameters"),
    )
    return Start(flags=flags, given=given, notes=tuple(notes))


def _defaults(line: Line, host: str, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Where the original's defaults are not Salver's, unless a variable or a file has chosen something else."""
    defaults: dict[str, Any] = {
        "watch_s": BY_NAME["file_system_poll_wait_seconds"].default,
        "data_dir": f"~/.salver/tensorflow-model-server-{line.text('port')}",  # of several servers each has its own
    }
    if host not in (LOOPBACK, "localhost", "::1"):
        defaults["allowed_hosts"] = ("*",)  # the original has no list, and a container is called by many names
    return {name: value for name, value in defaults.items() if name not in chosen}


def _mapped(line: Line) -> dict[str, Any]:
    """What flags of the line say of settings."""
    flags: dict[str, Any] = {}
    given = line.values.keys()
    if "file_system_poll_wait_seconds" in given:
        flags["watch_s"] = str(max(0, line.integer("file_system_poll_wait_seconds")))
    if "rest_api_timeout_in_ms" in given:
        flags["deadline_s"] = str(_positive(line, "rest_api_timeout_in_ms") / 1000)
    if "rest_api_enable_cors_support" in given:
        flags["tfs_cors"] = line.is_on("rest_api_enable_cors_support")
    if {"enable_model_warmup", "num_request_iterations_for_warmup"} & given:
        flags["warm_up_rounds"] = str(_rounds(line))
    threads = line.integer("tensorflow_intra_op_parallelism") or line.integer("tensorflow_session_parallelism")
    if threads > 0:
        flags["threads"] = str(threads)
    return flags


def _refuse(line: Line) -> None:
    for name, value in line.values.items():
        flag = BY_NAME[name]
        if flag.fate is Fate.REFUSED and value and value.lower() not in FALSE:
            raise _invalid(f"--{name} is not supported: {flag.meaning}.", flag.fix)


def _told(line: Line) -> Iterator[str]:
    for name in line.values:
        flag = BY_NAME[name]
        if flag.fate is Fate.NOTED:
            yield f"--{name} has no effect here: {flag.meaning}"


def _host(line: Line, chosen: Mapping[str, Any], *, is_container: bool) -> str:
    host = line.settings.get("host") or chosen.get("host")
    if host is None and is_container:
        raise _invalid(
            "In a container, 127.0.0.1 is reached by nobody outside of it, and every address must be asked for: the "
            "server has no TLS, and the original knows no keys.",
            "Set SALVER_HOST=0.0.0.0, SALVER_INSECURE=true and SALVER_ANONYMOUS=all in the container to serve whoever "
            "reaches its ports, as the original does; or SALVER_HOST=127.0.0.1 to serve the container alone.",
        )
    return str(host or LOOPBACK)


def _is_from_container(line: Line, environment: Mapping[str, str]) -> bool:
    """Whether the container's variables say what is served."""
    has_flags = line.text("model_config_file") or line.text("model_base_path")
    return not has_flags and bool(environment.get("MODEL_NAME") or environment.get("MODEL_BASE_PATH"))


def _models(line: Line, environment: Mapping[str, str], read_file: ReadFile) -> Configuration:
    path = line.text("model_config_file")
    if path:
        models = read_models(read_file(path), path)
    elif line.text("model_base_path"):
        models = (ConfiguredModel(name=line.text("model_name"), base_path=line.text("model_base_path")),)
    elif _is_from_container(line, environment):
        name = line.values.get("model_name") or environment.get("MODEL_NAME") or "model"
        folder = environment.get("MODEL_BASE_PATH") or "/models"
        models = (ConfiguredModel(name=name, base_path=f"{folder.rstrip('/')}/{name}"),)
    else:
        raise _invalid(
            "Both server_options.model_base_path and server_options.model_config_file are empty!",
            "Give --model_base_path=/path/of/numbered/versions, or --model_config_file.",
        )
    check_configuration(models, ())
    return models


def _doors(line: Line, host: str, rest_port: int) -> Iterator[str]:
    shown = f"[{host}]" if ":" in host else host
    yield f"tfserving-grpc@{shown}:{line.integer('port')}"
    if rest_port:
        yield f"tfserving@{shown}:{rest_port}"


def _rounds(line: Line) -> int:
    if not line.is_on("enable_model_warmup"):
        return 0
    return max(1, line.integer("num_request_iterations_for_warmup"))


def _positive(line: Line, name: str) -> int:
    value = line.integer(name)
    if value < 1:
        raise _invalid(f"--{name} must be above 0, not {value}.", "Leave it out for its default.")
    return value


def _batching(line: Line, read_file: ReadFile) -> Batching | None:
    path = line.text("batching_parameters_file")
    if path and not line.is_on("enable_batching"):
        raise _invalid(
            "server_options.batching_parameters_file is set without setting server_options.enable_batching to true.",
            "Add --enable_batching, or leave the file out.",
        )
    if not line.is_on("enable_batching"):
        return None
    return read_batching(read_file(path), path) if path else Batching()


def _batch_flags(batching: Batching) -> dict[str, str]:
    return {
        "max_batch_rows": str(batching.max_batch_rows),
        "max_batch_delay_ms": str(batching.max_batch_delay_ms),
        "max_queue_rows": str(batching.max_queue_rows),
    }


def _invalid(message: str, fix: str) -> StartupError:
    return StartupError(Code.SETTINGS_INVALID, message, fix=fix)
