"""What Triton's config.pbtxt says of a model, in our words. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

from salver.models.foreign.base import Declared, Fate, Remark, refused, unserved
from salver.models.manifest import BatchingSection, EnvironmentSection, Manifest
from salver.types import PolicyKind, VersionPolicy

FILE_NAME = "config.pbtxt"
SERVER = "Triton"
ONNX_FILE = "model.onnx"
FILES = {"onnx": ONNX_FILE, "tensorflow": "model.savedmodel", "torch": "model.pt"}
"""What Triton opens when default_model_filename says nothing else, by the runtime here."""

_RUNTIMES = {
    "onnxruntime": "onnx", "onnxruntime_onnx": "onnx",
    "tensorflow": "tensorflow", "tensorflow_savedmodel": "tensorflow",
    "pytorch": "torch", "pytorch_libtorch": "torch",
}  # fmt: skip
"""By Triton's backend or platform."""
_OTHERS = {
    "tensorflow_graphdef": "a TensorFlow graph without signatures",
    "torch_aoti": "PyTorch's compiler", "tensorrt": "TensorRT", "tensorrt_plan": "TensorRT",
    "python": "Triton's Python backend", "openvino": "OpenVINO", "fil": "the forest inference library",
    "dali": "DALI", "vllm": "vLLM", "tensorrtllm": "TensorRT-LLM",
}  # fmt: skip
_OTHER_RUNTIME = "Export the model to ONNX, or wrap it in a Python file with a `predict` function."

_UNSERVED = {
    "ensemble_scheduling": (
        "a pipeline of several models",
        "Serve its models by themselves and call one after another.",
    ),
    "sequence_batching": ("sequences that keep state between requests", "Leave it out if requests are independent."),
    "batch_input": ("inputs that the server makes itself", "Give callers a model that needs none."),
    "batch_output": ("outputs that the server cuts itself", "Give callers a model that needs none."),
    "model_operations": ("libraries of operators of its own", "Use operators that the runtime knows."),
}
"""Without these a model would answer wrongly, so it is not served at all."""

_NEEDLESS = {
    "runtime": "which library of the backend is loaded is this server's business",
    "cc_model_filenames": "one file is served whatever the GPU",
    "metric_tags": "metrics have the model and the version",
    "model_metrics": "the buckets of the metrics are this server's",
    "optimization": "the runtime optimises the graph by itself",
}
_UNSUPPORTED = {
    "response_cache": "answers are not cached",
    "model_repository_agents": "the files are taken as they are; checksums go into SHA256SUMS",
}
_THREADS = "intra_op_thread_count"
_PYTORCH = {
    "INFERENCE_MODE": "models run in inference mode",
    "DISABLE_OPTIMIZED_EXECUTION": "PyTorch optimises TorchScript by itself",
    "ENABLE_CACHE_CLEANING": "a process that takes too much memory is replaced",
}


def declared(config: dict[str, Any], path: str) -> Declared:
    """Raises LoadError for what would be served wrongly: MANIFEST_INVALID, or FORMAT_UNKNOWN where a runtime lacks."""
    remarks = list(_remarks(config, path))
    tensors = [*config.get("input", ()), *config.get("output", ())]
    for tensor in tensors:
        if "reshape" in tensor:
            what = f"the tensor {tensor.get('name', '')!r} in another shape than the model has"
            raise unserved(path, what, "Leave out `reshape` and let callers send the model's own shape.")
    return Declared(
        server=SERVER,
        manifest=_manifest(config),
        policy=_policy(config.get("version_policy", {}), path),
        checks=_checks(config),
        label_files={
            row["name"]: row["label_filename"] for row in config.get("output", ()) if row.get("label_filename")
        },
        config=config,
        remarks=tuple(remarks),
    )


def file_name(config: dict[str, Any]) -> str | None:
    """The file or folder in a version's folder that holds the model; None: what is recognised."""
    name: str = config.get("default_model_filename", "")
    return name or None


def runtime_of(config: dict[str, Any]) -> str:
    """By the backend, else the platform; what says neither is ONNX."""
    named = config.get("backend") or config.get("platform") or ""
    return _RUNTIMES.get(named, "onnx")


def _manifest(config: dict[str, Any]) -> Manifest:
    batching = config.get("dynamic_batching", {})
    queue = batching.get("default_queue_policy", {})
    timeout_us = queue.get("default_timeout_microseconds", 0)
    delay_us = batching.get("max_queue_delay_microseconds")
    max_rows = config.get("max_batch_size")
    threads = _threads(config)
    return Manifest(
        name=config.get("name") or None,
        artifact=file_name(config),
        runtime=runtime_of(config),
        replicas=_replicas(config.get("instance_group", ())),
        deadline_s=timeout_us / 1_000_000 if timeout_us and queue.get("timeout_action", "REJECT") == "REJECT" else None,
        environment=EnvironmentSection(threads=threads),
        batching=BatchingSection(
            max_batch_rows=None if max_rows is None else max(1, max_rows),
            max_batch_delay_ms=None if delay_us is None else delay_us / 1000,
            max_queue_rows=queue.get("max_queue_size") or None,
        ),
    )


def _replicas(groups: Sequence[dict[str, Any]]) -> int | None:
    return max(1, sum(_instances(group) for group in groups)) if groups else None


def _instances(group: dict[str, Any]) -> int:
    """How many copies a group is: on GPUs, so many on each."""
    if group.get("passive"):
        return 0
    count: int = group.get("count") or 1
    return count * max(1, len(group.get("gpus", ())))


def _threads(config: dict[str, Any]) -> int | None:
    value = config.get("parameters", {}).get(_THREADS, {}).get("string_value", "")
    return int(value) if value.isdecimal() and len(value) < 5 and int(value) else None


def _policy(policy: dict[str, Any], path: str) -> VersionPolicy:
    if "all" in policy:
        return VersionPolicy(kind=PolicyKind.ALL)
    if "specific" in policy:
        versions = tuple(policy["specific"].get("versions", ()))
        if not versions or min(versions) < 1:
            raise refused(path, "version_policy: specific names no version, or one below 1")
        return VersionPolicy(kind=PolicyKind.SPECIFIC, versions=versions)
    return VersionPolicy(count=policy.get("latest", {}).get("num_versions") or 1)


def _checks(config: dict[str, Any]) -> dict[str, Any]:
    max_rows = config.get("max_batch_size")
    return {
        "file": FILE_NAME,
        "inputs": [_tensor(row) for row in config.get("input", ())],
        "outputs": [_tensor(row) for row in config.get("output", ())],
        "has_rows": None if max_rows is None else max_rows > 0,
    }


def _tensor(row: dict[str, Any]) -> dict[str, Any]:
    datatype = row.get("data_type", "TYPE_INVALID").removeprefix("TYPE_")
    return {
        "name": row.get("name", ""),
        "datatype": {"STRING": "BYTES", "INVALID": None}.get(datatype, datatype),
        "shape": row.get("dims", []),
    }


# What becomes of each option


class _Option(NamedTuple):
    """One option that is set, in the file at `path`."""

    name: str
    value: Any
    path: str


_Reader: TypeAlias = Callable[[_Option], Iterator[Remark]]


def _remarks(config: dict[str, Any], path: str) -> Iterator[Remark]:
    """One for each option that is set, and for some one for each of its parts."""
    for option, value in config.items():
        if option in _UNSERVED:
            what, fix = _UNSERVED[option]
            raise unserved(path, f"{what} (`{option}`)", fix)
        if option in _NEEDLESS:
            yield Remark(option, Fate.NEEDLESS, _NEEDLESS[option])
        elif option in _UNSUPPORTED:
            yield Remark(option, Fate.UNSUPPORTED, _UNSUPPORTED[option])
        else:
            yield from _READERS[option](_Option(option, value, path))


def _backend(it: _Option) -> Iterator[Remark]:
    if it.value in _RUNTIMES or not it.value:
        yield Remark(it.name, Fate.MAPPED, f"the runtime {_RUNTIMES.get(it.value, 'onnx')}")
        return
    if it.value == "ensemble":
        raise unserved(it.path, "a pipeline of several models", _UNSERVED["ensemble_scheduling"][1])
    raise unserved(it.path, f"{_OTHERS.get(it.value, f'the backend {it.value}')} (`{it.name}`)", _OTHER_RUNTIME)


def _plain(text: str) -> _Reader:
    def read(it: _Option) -> Iterator[Remark]:
        yield Remark(it.name, Fate.MAPPED, text.format(it.value))

    return read


def _rows(it: _Option) -> Iterator[Remark]:
    if it.value < 0:
        raise refused(it.path, "max_batch_size must be 0 or more")
    text = f"batching.max_batch_rows = {it.value}" if it.value else "no batches: the first dimension is the model's own"
    yield Remark(it.name, Fate.MAPPED, text)


def _tensors(it: _Option) -> Iterator[Remark]:
    yield Remark(it.name, Fate.MAPPED, "the model's signature is held to it when it is loaded")
    for row in it.value:
        name = f"{it.name} {row.get('name', '')}"
        if row.get("is_shape_tensor") or row.get("is_non_linear_format_io"):
            raise unserved(it.path, f"a tensor of TensorRT's own kind ({name})", _OTHER_RUNTIME)
        if row.get("allow_ragged_batch"):
            yield Remark(f"{name}: allow_ragged_batch", Fate.NEEDLESS, "requests of other shapes make another batch")
        if row.get("optional"):
            yield Remark(f"{name}: optional", Fate.UNSUPPORTED, "every input must be sent")
        if row.get("format", "FORMAT_NONE") != "FORMAT_NONE":
            yield Remark(f"{name}: format", Fate.NEEDLESS, "it describes the tensor and changes nothing")
        if row.get("label_filename"):
            yield Remark(f"{name}: label_filename", Fate.MAPPED, "the labels of classifications")


def _batching(it: _Option) -> Iterator[Remark]:
    delay_ms = it.value.get("max_queue_delay_microseconds", 0) / 1000
    yield Remark(it.name, Fate.MAPPED, f"requests share batches; batching.max_batch_delay_ms = {delay_ms:g}")
    if it.value.get("preferred_batch_size"):
        text = "a batch takes what is waiting, up to max_batch_size"
        yield Remark(f"{it.name}: preferred_batch_size", Fate.NEEDLESS, text)
    if it.value.get("preserve_ordering"):
        text = "answers come when they are ready, each to its own caller"
        yield Remark(f"{it.name}: preserve_ordering", Fate.UNSUPPORTED, text)
    for part in ("priority_levels", "default_priority_level", "priority_queue_policy"):
        if it.value.get(part):
            yield Remark(f"{it.name}: {part}", Fate.UNSUPPORTED, "requests wait in one queue, in the order they came")
    yield from _queue(f"{it.name}: default_queue_policy", it.value.get("default_queue_policy", {}))


def _queue(option: str, value: dict[str, Any]) -> Iterator[Remark]:
    if value.get("max_queue_size"):
        text = f"batching.max_queue_rows = {value['max_queue_size']}; rows are counted, not requests"
        yield Remark(f"{option}.max_queue_size", Fate.MAPPED, text)
    if value.get("default_timeout_microseconds"):
        is_mapped = value.get("timeout_action", "REJECT") == "REJECT"
        text = "deadline_s, which counts the model's own time too" if is_mapped else "what waits too long is refused"
        fate = Fate.MAPPED if is_mapped else Fate.UNSUPPORTED
        yield Remark(f"{option}.default_timeout_microseconds", fate, text)
    if value.get("allow_timeout_override"):
        yield Remark(
            f"{option}.allow_timeout_override", Fate.NEEDLESS, "a request may ask for less time, never for more"
        )


def _groups(it: _Option) -> Iterator[Remark]:
    yield Remark(it.name, Fate.MAPPED, f"replicas = {_replicas(it.value)}")
    for group in it.value:
        if group.get("kind") == "KIND_GPU" or group.get("gpus"):
            text = "each replica takes the GPU that its runtime finds; which one is not chosen"
            yield Remark(f"{it.name}: gpus", Fate.UNSUPPORTED, text)
        for part in ("rate_limiter", "secondary_devices", "profile", "host_policy", "passive"):
            if group.get(part):
                yield Remark(f"{it.name}: {part}", Fate.UNSUPPORTED, "replicas are all alike")


def _versions(it: _Option) -> Iterator[Remark]:
    policy = _policy(it.value, it.path)
    text = {
        PolicyKind.ALL: "policy `all`",
        PolicyKind.LATEST: f"policy `latest`, {policy.count}",
        PolicyKind.SPECIFIC: f"policy `specific`: {', '.join(map(str, policy.versions))}",
    }[policy.kind]
    yield Remark(it.name, Fate.MAPPED, text)


def _parameters(it: _Option) -> Iterator[Remark]:
    for name in it.value:
        if name == _THREADS:
            threads = _threads({"parameters": it.value})
            text = f"environment.threads = {threads}" if threads else "0 leaves it to the server's setting `threads`"
            yield Remark(f"{it.name} {name}", Fate.MAPPED, text)
        elif name in _PYTORCH:
            yield Remark(f"{it.name} {name}", Fate.NEEDLESS, _PYTORCH[name])
        else:
            yield Remark(f"{it.name} {name}", Fate.UNSUPPORTED, "the runtime has no such parameter")


def _warmup(it: _Option) -> Iterator[Remark]:
    for sample in it.value:
        inputs = sample.get("inputs", {}).values()
        is_zeros = all(not row.get("random_data") and not row.get("input_data_file") for row in inputs)
        fate = Fate.MAPPED if is_zeros else Fate.UNSUPPORTED
        text = "a row of zeros is run before the first caller"
        more = "" if is_zeros else "; give other values in warmup.jsonl"
        yield Remark(f"{it.name} {sample.get('name', '')}".strip(), fate, text + more)


def _transactions(it: _Option) -> Iterator[Remark]:
    text = (
        "answers come in parts where the model gives them" if it.value.get("decoupled") else "one answer to a request"
    )
    yield Remark(it.name, Fate.MAPPED, text)


_READERS: dict[str, _Reader] = {
    "name": _plain("the model's name"),
    "platform": _backend,
    "backend": _backend,
    "version_policy": _versions,
    "max_batch_size": _rows,
    "input": _tensors,
    "output": _tensors,
    "dynamic_batching": _batching,
    "instance_group": _groups,
    "default_model_filename": _plain("artifact = {}"),
    "parameters": _parameters,
    "model_warmup": _warmup,
    "model_transaction_policy": _transactions,
}
