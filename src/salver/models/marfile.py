"""What a model archive says of itself in MAR-INF/MANIFEST.json, as MXNet Model Server and TorchServe write it."""

from __future__ import annotations

import re

import msgspec

from salver.errors import Code, LoadError

MANIFEST_NAME = "MAR-INF/MANIFEST.json"
MAX_MANIFEST_BYTES = 1024 * 1024

_FIX = "Pack the archive again with `model-archiver` or `torch-model-archiver`."


class MarManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The archive's own words for its model; None where it says nothing."""

    name: str | None
    version: str | None
    handler: str | None

    @property
    def version_number(self) -> int:
        return version_number(self.version)

    @property
    def label(self) -> str:
        return f"model archive (handler {self.handler})" if self.handler else "model archive (names no handler)"


class _Model(msgspec.Struct, rename="camel"):
    model_name: str | None = None
    model_version: str | int | float | None = None
    handler: str | None = None


class _Document(msgspec.Struct):
    model: _Model


def parse_mar_manifest(raw: bytes, archive: str) -> MarManifest:
    """Raises LoadError(MANIFEST_INVALID); `archive` is what the error calls the file."""
    try:
        model = msgspec.json.decode(raw, type=_Document).model
    except msgspec.DecodeError as error:
        raise LoadError(Code.MANIFEST_INVALID, f"{MANIFEST_NAME} in {archive}: {error}", fix=_FIX) from error
    version = None if model.model_version is None else str(model.model_version)
    if not all((text or "").isprintable() for text in (model.model_name, version, model.handler)):
        message = f"{MANIFEST_NAME} in {archive} has a name, a version or a handler that cannot be printed"
        raise LoadError(Code.MANIFEST_INVALID, message, fix=_FIX)
    return MarManifest(name=model.model_name or None, version=version, handler=model.handler or None)


def version_number(version: str | None) -> int:
    """Versions here are whole numbers: `2.1` is 2, and what begins with no number is 1."""
    digits = re.match(r"[0-9]{1,18}(?![0-9])", version or "")
    return int(digits.group()) if digits else 1
