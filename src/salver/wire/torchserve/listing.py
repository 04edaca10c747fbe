"""What both servers tell of their models: pages of a list, and a model's description. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from salver.operations.models import ModelList
from salver.types import BatchSettings, ModelStatus, ReplicaStatus, VersionStatus
from salver.wire.torchserve.answers import without_nulls
from salver.wire.torchserve.versions import name_of

MAX_LIMIT = 100
DEFAULT_RESPONSE_TIMEOUT_S = 120
JAVA_INTEGER = re.compile(r"[+-]?[0-9]{1,10}")


def java_integer(text: str | None, default: int) -> int:
    """What the original reads of a number's parameter: anything that is no 32-bit integer is the default, silently."""
    if text is None or JAVA_INTEGER.fullmatch(text) is None:
        return default
    number = int(text)
    return number if -(2**31) <= number < 2**31 else default


def list_document(found: ModelList, limit: str | None, token: str | None) -> dict[str, Any]:
    """One page, sorted by name. The next token is there whenever a full page was, even if nothing follows it."""
    size = java_integer(limit, MAX_LIMIT)
    size = size if 0 <= size <= MAX_LIMIT else MAX_LIMIT
    begin = max(0, java_integer(token, 0))
    end = begin + size
    page = sorted(found, key=lambda model: model.name)[begin:end]
    return without_nulls(
        {
            "nextPageToken": str(end) if end <= len(found) else None,
            "models": [without_nulls({"modelName": model.name, "modelUrl": model_url(model)}) for model in page],
        }
    )


def describe_document(model: ModelStatus) -> dict[str, Any]:
    """One model, by its default version."""
    version = default_version(model)
    if version is None:
        return {"modelName": model.name, "workers": []}
    batching = version.info.batching if version.info else version.batching
    return without_nulls(
        {
            "modelName": model.name,
            "modelVersion": version.own_name or str(version.id.version),
            "modelUrl": model_url(model),
            "engine": version.runtime,
            "runtime": "python",
            "minWorkers": version.replicas_wanted,
            "maxWorkers": version.replicas_wanted,
            "batchSize": batching.max_batch_rows if batching else None,
            "maxBatchDelay": round(batching.max_batch_delay_s * 1000) if batching else None,
            "loadedAtStartup": True,
            "workers": [worker_document(replica) for replica in version.replicas],
        }
    )


def version_documents(model: ModelStatus, versions: Iterable[VersionStatus]) -> list[dict[str, Any]]:
    """The array that TorchServe describes a model by, one object for each version."""
    return [version_document(model, version) for version in versions]


def version_document(model: ModelStatus, version: VersionStatus) -> dict[str, Any]:
    """One version as TorchServe describes it. What its front end counts of workers' devices, there is none of here."""
    batching = version.batching or BatchSettings()
    deadline_s = version.info.deadline_s if version.info is not None else None
    timeout_s = round(deadline_s) if deadline_s else DEFAULT_RESPONSE_TIMEOUT_S
    url = version.source.rstrip("/").rpartition("/")[2]
    return {
        "modelName": model.name,
        "modelVersion": name_of(version),
        "modelUrl": url,
        "runtime": "python",
        "minWorkers": version.replicas_wanted,
        "maxWorkers": version.replicas_wanted,
        "batchSize": batching.max_batch_rows,
        "maxBatchDelay": round(batching.max_batch_delay_s * 1000),
        "responseTimeout": timeout_s,
        "startupTimeout": DEFAULT_RESPONSE_TIMEOUT_S,
        "maxRetryTimeoutInSec": 300,
        "clientTimeoutInMills": 0,
        "parallelType": "",
        "parallelLevel": 0,
        "deviceType": "cpu",
        "continuousBatching": False,
        "useJobTicket": False,
        "useVenv": False,
        "stateful": False,
        "sequenceMaxIdleMSec": 0,
        "sequenceTimeoutMSec": 0,
        "maxNumSequence": 0,
        "maxSequenceJobQueueSize": 0,
        "loadedAtStartup": True,
        "workers": [torchserve_worker(replica) for replica in version.replicas],
        "jobQueueStatus": {
            "remainingCapacity": max(0, batching.max_queue_rows - version.waiting_rows),
            "pendingRequests": version.waiting_rows,
        },
        **({"customizedMetadata": orjson.loads(version.customized)} if version.customized else {}),
    }


def torchserve_worker(replica: ReplicaStatus) -> dict[str, Any]:
    return {
        "id": replica.id,
        "startTime": java_time(replica.started_at),
        "status": "READY" if replica.state == "READY" else "UNLOADING",
        "memoryUsage": replica.rss_bytes,
        "pid": -1 if replica.pid is None else replica.pid,
        "gpu": False,
        "gpuUsage": "N/A",
    }


def worker_document(replica: ReplicaStatus) -> dict[str, Any]:
    """One replica. The original knows two states: it takes requests, or it does not."""
    return {
        "id": replica.id,
        "startTime": java_time(replica.started_at),
        "status": "READY" if replica.state == "READY" else "UNLOADING",
        "gpu": False,
        "memoryUsage": replica.rss_bytes,
    }


def java_time(seconds: float) -> str:
    """A moment with milliseconds and a Z, in UTC as the Z says (the original writes local time before it)."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def default_version(model: ModelStatus) -> VersionStatus | None:
    """The version that answers for the name; else the highest."""
    default = next((version for version in model.versions if version.id.version == model.default_version), None)
    return default or next(iter(model.versions), None)


def model_url(model: ModelStatus) -> str | None:
    """The last name of where the model came from; the path before it is the server's own affair."""
    version = default_version(model)
    return version.source.rstrip("/").rpartition("/")[2] if version else None
