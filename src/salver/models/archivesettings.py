"""The settings that an archive of TorchServe brings in its YAML file, as TorchServe's ``ModelConfig`` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from salver.errors import Code, LoadError
from salver.models.runwords import RunWords

MAX_BYTES = 1024 * 1024
MAX_VALUES = 20_000
"""Values in the file, those that an alias stands for counted each time."""
MAX_DEPTH = 64
SETTINGS = "the archive's settings"

UNFOLLOWED: Mapping[str, str] = {
    "startupTimeout": "the server's `load_timeout_s` is for all models",
    "deviceType": "a worker chooses its own device",
    "deviceIds": "a worker chooses its own device",
    "parallelLevel": "a worker is one process",
    "parallelType": "a worker is one process",
    "torchrun": "a worker is one process",
    "useVenv": "the model's environment is named in model.toml",
    "continuousBatching": "a batch is answered as a whole",
    "asyncCommunication": "a batch is answered as a whole",
    "sequenceBatching": "requests of a sequence are not kept together",
    "useJobTicket": "a request waits in the queue",
    "clientTimeoutInMills": "`responseTimeout` bounds the whole request",
}
"""Keys of TorchServe's front end that change nothing here, and why. The handler sees them all the same."""


class ArchiveSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The file's words for the server, the whole of it for the handler, and what the user should know."""

    words: RunWords = RunWords()
    config: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()


def read_archive_settings(folder: Path, name: str) -> ArchiveSettings:
    """The settings in the file that the archive's manifest names. Raises LoadError(MANIFEST_INVALID)."""
    path = folder / Path(name).name
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _refused(name, f"cannot be read: {error.strerror}") from error
    if len(raw) > MAX_BYTES:
        raise _refused(name, f"is larger than {MAX_BYTES} bytes")
    config = read_document(raw, name)
    problems: list[str] = []
    words = _words(config, problems)
    problems += [f"{key} changes nothing: {why}" for key, why in UNFOLLOWED.items() if config.get(key) is not None]
    return ArchiveSettings(words=words, config=config, notes=tuple(f"{name}: {text}" for text in problems))


def read_document(raw: bytes, name: str, about: str = SETTINGS) -> dict[str, Any]:
    """A YAML mapping in what JSON has; `about` is what the file is to messages. Raises LoadError(MANIFEST_INVALID)."""
    import yaml

    try:
        document = yaml.safe_load(raw)
        plain = _plain(document, [MAX_VALUES], 0)
    except (yaml.YAMLError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise _refused(name, f"is no YAML that can be read: {' '.join(str(error).split())}", about) from error
    if plain is None:
        return {}
    if not isinstance(plain, dict):
        raise _refused(name, "is no YAML mapping", about)
    return plain


def _plain(value: Any, left: list[int], depth: int) -> Any:
    """The value in what JSON has. Raises ValueError when it is too much: an alias is cheap to write."""
    left[0] -= 1
    if left[0] < 0 or depth > MAX_DEPTH:
        raise ValueError(f"more than {MAX_VALUES} values, or nested deeper than {MAX_DEPTH} levels")
    match value:
        case dict():
            return {str(key): _plain(inner, left, depth + 1) for key, inner in value.items()}
        case list() | tuple() | set():
            return [_plain(inner, left, depth + 1) for inner in value]
        case str() | int() | float() | bool() | None:
            return value
    return str(value)


def _words(config: Mapping[str, Any], problems: list[str]) -> RunWords:
    batch_size = _whole(config, "batchSize", 1, problems)
    delay_ms = _whole(config, "maxBatchDelay", 0, problems)
    timeout_s = _whole(config, "responseTimeout", 1, problems)
    return RunWords(
        replicas=next(_replicas(config, problems), None),
        max_batch_rows=batch_size,
        max_batch_delay_ms=None if delay_ms is None else float(delay_ms),
        max_queue_rows=_whole(config, "jobQueueSize", 1, problems),
        deadline_s=None if timeout_s is None else float(timeout_s),
    )


def _replicas(config: Mapping[str, Any], problems: list[str]) -> Iterator[int]:
    """As many as `minWorkers`; `maxWorkers` alone means that many at most, and so one."""
    least = _whole(config, "minWorkers", 0, problems)
    most = _whole(config, "maxWorkers", 0, problems)
    if least == 0:
        problems.append("minWorkers is 0, and a model that is loaded has one worker at least")
    if least:
        if most is not None and most < least:
            problems.append(f"maxWorkers is {most}, below minWorkers, and is not followed")
        yield least


def _whole(config: Mapping[str, Any], key: str, least: int, problems: list[str]) -> int | None:
    value = config.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        problems.append(f"{key} must be a whole number, {least} or more, and is not followed")
        return None
    return value


def _refused(name: str, why: str, about: str = SETTINGS) -> LoadError:
    fix = "Correct the file and pack the archive again."
    if about == SETTINGS:
        fix = "Correct the file and pack the archive again, or leave the file out."
    return LoadError(Code.MANIFEST_INVALID, f"{name}, {about}, {why}", fix=fix)
