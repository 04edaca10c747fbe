"""A list of models to serve, whole: what a configuration may say, and what it makes of each model's record. Pure.

The laws, which the tests prove:

- A list that is refused changes nothing.
- What a configuration set goes when another one takes its place; what somebody else set of the same model stays.
- A label that stays where it was is never refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Mapping, Sequence

import msgspec

from salver.errors import Code, RequestError
from salver.models.desired import check_label, check_policy
from salver.models.naming import NAME_RULE, is_name
from salver.store.base import ModelRecord
from salver.types import VersionPolicy

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LOCAL = "file"
BUCKETS = ("s3", "gs")
"""Schemes of base paths in buckets."""
_BUCKET = re.compile(r"[a-z0-9]+://[A-Za-z0-9][A-Za-z0-9._-]*(/(?!\.{1,2}(/|$))[^/?#\0]+)*")


class ConfiguredModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model of a configuration: its folder of numbered versions, which of them are loaded, and their labels."""

    name: str
    base_path: str
    platform: str = "tensorflow"
    policy: VersionPolicy = VersionPolicy(highest_answers=True)
    labels: dict[str, int] = {}


Configuration = tuple[ConfiguredModel, ...]


class Configured(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a configuration: the models that came, went and stayed, by name, and what is to be known."""

    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_configuration(models: Configuration, before: Configuration) -> None:
    """Raises RequestError(INVALID_INPUT) in the words of TensorFlow Serving, where that has some."""
    names: set[str] = set()
    for model in models:
        if not is_name(model.name):
            raise _invalid(f"{model.name!r} is no name of a model: that is {NAME_RULE}.", "Choose another name.")
        if model.name in names:
            text = f"Illegal to list model {model.name} multiple times in config list"
            raise _invalid(text, "Give each model a name of its own.")
        names.add(model.name)
        _check_path(model)
        check_policy(model.policy)
        for label in model.labels:
            check_label(label)
    platforms = {model.name: model.platform for model in before}
    for model in models:
        old = platforms.get(model.name, model.platform)
        if old != model.platform:
            text = f"Illegal to change a model's platform. For model {model.name} platform was {old}"
            raise RequestError(
                Code.CONFLICT, f"{text} and new platform requested is {model.platform}", fix="Choose another name."
            )


def _check_path(model: ConfiguredModel) -> None:
    scheme = _SCHEME.match(model.base_path)
    if scheme is None and not posixpath.isabs(model.base_path):
        text = f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        raise _invalid(text, "Write the whole path, from / on.")
    if scheme is not None and scheme[1].lower() not in (_LOCAL, *BUCKETS):
        text = f"The model {model.name} has the base path {model.base_path}, and only folders and buckets are served"
        fix = "Copy or mount it into a folder, or into a bucket: s3://bucket/path, gs://bucket/path."
        raise _invalid(f"{text}.", fix)
    bucket = in_bucket(model.base_path)
    if bucket is not None and not _BUCKET.fullmatch(bucket):
        text = f"The base path {model.base_path} of the model {model.name} is no path in a bucket"
        raise _invalid(f"{text}.", "Write it as s3://bucket/path, without a password, a query or dots for folders.")
    if "\0" in model.base_path:
        raise _invalid(f"The base path of the model {model.name} is no path.", "Write the path without a zero byte.")


def in_bucket(base_path: str) -> str | None:
    """The address of a base path in a bucket, in one form; None for a folder."""
    scheme = _SCHEME.match(base_path)
    if scheme is None or scheme[1].lower() not in BUCKETS:
        return None
    return f"{scheme[1].lower()}://{base_path[scheme.end() :].rstrip('/')}"


def local_path(base_path: str) -> str:
    """The folder of a base path that was checked: `file:///models/m` is `/models/m`."""
    scheme = _SCHEME.match(base_path)
    return base_path if scheme is None else base_path[scheme.end() :]


def check_roots(models: Configuration, roots: Sequence[str], real: Mapping[str, str]) -> None:
    """Whether somebody over the network may name these folders; `real` has each base path without its links.

    Raises RequestError(PERMISSION_DENIED): models are programs, so nobody names any folder of the machine from afar.
    """
    for model in models:
        path = real[model.base_path]
        if not any(path == root or path.startswith(f"{root.rstrip('/')}/") for root in roots):
            message = (
                f"The base path of the model {model.name} lies in no folder that a configuration may name from here."
            )
            fix = "Put the model below such a folder, or name more of them with the setting `model_roots`."
            raise RequestError(Code.PERMISSION_DENIED, message, fix=fix)


def check_labels(
    model: ConfiguredModel, old: Mapping[str, int], available: Collection[int], *, allow_unavailable: bool
) -> None:
    """Raises RequestError(CONFLICT) for a label that leads to a version which cannot answer.

    With `allow_unavailable` that is so for labels alone that led elsewhere before, or to something that could.
    """
    for label, version in model.labels.items():
        is_new = label not in old
        if version in available or old.get(label) == version or (allow_unavailable and is_new):
            continue
        message = (
            f"Request to assign label to version {version} of model {model.name}, "
            "which is not currently available for inference"
        )
        raise RequestError(Code.CONFLICT, message, fix="Have the version loaded first, then give it the label.")


def configured(record: ModelRecord, wanted: ConfiguredModel, old: ConfiguredModel | None) -> ModelRecord:
    """The record as the configuration wants it; `old` is what it said before."""
    labels = {**_others(record.labels, old), **wanted.labels}
    return msgspec.structs.replace(record, policy=wanted.policy, labels=labels, is_unloaded=False)


def unconfigured(record: ModelRecord, old: ConfiguredModel) -> ModelRecord:
    """The record without what the configuration said."""
    return msgspec.structs.replace(record, policy=VersionPolicy(), labels=_others(record.labels, old))


def _others(labels: Mapping[str, int], old: ConfiguredModel | None) -> dict[str, int]:
    """The labels that no configuration gave; one that was moved since is somebody's wish."""
    ours = {} if old is None else old.labels
    return {label: version for label, version in labels.items() if ours.get(label) != version}


def _invalid(message: str, fix: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, message, fix=fix)
