"""A model in the form of Triton's configuration: what its own file says, completed by what is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from salver.types import ModelStatus, PolicyKind, TensorSpec, VersionInfo
from salver.wire.openinference.metadata import info_of, platform_of, signature_of

TYPES = {"BYTES": "TYPE_STRING"}
BACKENDS = {"onnx": "onnxruntime", "torch": "pytorch"}
"""Triton's names of runtimes; the others are called as they are here."""
FILES = {"onnx": "model.onnx", "torch": "model.pt"}
"""The file that a configuration means when it names none."""
Config = dict[str, Any]


def model_config(model: ModelStatus, version: int | None) -> Config:
    """Without a file of its own, as far as there is something to tell. Raises RequestError(MODEL_NOT_READY)."""
    info = info_of(model, version)
    (replicas,) = [entry.replicas_wanted for entry in model.versions if entry.id == info.id]
    made = _made(model, info, replicas)
    return _completed(info.config, made, info) if info.config else made


def _made(model: ModelStatus, info: VersionInfo, replicas: int) -> Config:
    """Of what is known."""
    signature = signature_of(info)
    specs = (*signature.inputs, *signature.outputs)
    has_batch = info.has_batch_dimension and all(len(spec.shape) > 1 for spec in specs)
    config: Config = {
        "name": model.name,
        "platform": platform_of(info),
        "backend": BACKENDS.get(info.runtime, info.runtime),
        "version_policy": _policy(model),
        "max_batch_size": info.batching.max_batch_rows if has_batch else 0,
        "input": [_tensor(spec, has_batch=has_batch) for spec in signature.inputs],
        "output": [_tensor(spec, has_batch=has_batch) for spec in signature.outputs],
        "instance_group": [{"name": model.name, "kind": "KIND_AUTO", "count": replicas}],
    }
    if has_batch:
        delay_us = round(info.batching.max_batch_delay_s * 1_000_000)
        config["dynamic_batching"] = {"max_queue_delay_microseconds": delay_us}
    if info.gives_parts:
        config["model_transaction_policy"] = {"decoupled": True}
    return config


def _completed(declared: Mapping[str, Any], made: Config, info: VersionInfo) -> Config:
    """What the file says, and what it leaves open as it is; what may change while the server runs is as it is now."""
    config: Config = {**made, **declared}
    for key in ("name", "version_policy"):
        config[key] = made[key]
    for key in ("input", "output"):
        config[key] = _tensors(declared.get(key, ()), made[key])
    groups = [{"count": 1, "kind": "KIND_AUTO", **group} for group in declared.get("instance_group", ())]
    named = [{"name": f"{made['name']}_{index}", **group} for index, group in enumerate(groups)]
    is_so = sum(group["count"] * max(1, len(group.get("gpus", ()))) for group in named) == _count(made)
    config["instance_group"] = named if is_so else made["instance_group"]
    if info.runtime in FILES:
        config.setdefault("default_model_filename", FILES[info.runtime])
    return config


def _tensors(declared: Sequence[Mapping[str, Any]], made: Sequence[Config]) -> list[Config]:
    """Each as the file has it, in the file's order, then those that it does not name."""
    known = {tensor["name"]: tensor for tensor in made}
    told = [{**known.get(tensor.get("name", ""), {}), **tensor} for tensor in declared]
    names = {tensor.get("name") for tensor in told}
    return [*told, *(tensor for tensor in made if tensor["name"] not in names)]


def _count(made: Config) -> int:
    count: int = made["instance_group"][0]["count"]
    return count


def _tensor(spec: TensorSpec, *, has_batch: bool) -> Config:
    """Triton leaves the dimension that counts rows out of the dimensions of a model with batches."""
    return {
        "name": spec.name,
        "data_type": TYPES.get(spec.datatype, f"TYPE_{spec.datatype}"),
        "dims": spec.shape[1:] if has_batch else spec.shape,
    }


def _policy(model: ModelStatus) -> Config:
    policy = model.policy
    if policy.kind is PolicyKind.LATEST:
        return {"latest": {"num_versions": policy.count}}
    return {"all": {}} if policy.kind is PolicyKind.ALL else {"specific": {"versions": policy.versions}}
