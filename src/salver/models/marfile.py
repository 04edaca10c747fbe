"""What a model archive says of itself in MAR-INF/MANIFEST.json, as MXNet Model Server and TorchServe write it."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from salver.errors import Code, LoadError

MANIFEST_NAME = "MAR-INF/MANIFEST.json"
LEGACY_NAME = "MANIFEST.json"
"""The manifest of MMS 0.4, which stands among the archive's files."""
MAX_MANIFEST_BYTES = 1024 * 1024

_FIX = "Pack the archive again with `model-archiver` or `torch-model-archiver`."


class MarManifest(msgspec.Struct, frozen=True, kw_only=True):
    """The archive's own words for its model; None where it says nothing."""

    name: str | None
    version: str | None
    handler: str | None
    config_file: str | None = None
    """The YAML file of TorchServe's settings."""
    requirements_file: str | None = None
    is_legacy: bool = False
    """Whether the archive is one of MMS 0.4."""

    @property
    def version_number(self) -> int:
        return version_number(self.version)

    @property
    def label(self) -> str:
        kind = "model archive of MMS 0.4" if self.is_legacy else "model archive"
        return f"{kind} (handler {self.handler})" if self.handler else f"{kind} (names no handler)"


class _Model(msgspec.Struct, rename="camel"):
    model_name: str | None = None
    model_version: str | int | float | None = None
    handler: str | None = None
    config_file: str | None = None
    requirements_file: str | None = None


class _Document(msgspec.Struct):
    model: _Model


class _LegacyModel(msgspec.Struct):
    name: str | None = msgspec.field(default=None, name="Model-Name")
    service: str | None = msgspec.field(default=None, name="Service")


class _LegacyDocument(msgspec.Struct):
    model: _LegacyModel = msgspec.field(name="Model")


def parse_mar_manifest(raw: bytes, archive: str) -> MarManifest:
    """Raises LoadError(MANIFEST_INVALID); `archive` is what the error calls the file."""
    try:
        model = msgspec.json.decode(raw, type=_Document).model
    except msgspec.DecodeError as error:
        raise LoadError(Code.MANIFEST_INVALID, f"{MANIFEST_NAME} in {archive}: {error}", fix=_FIX) from error
    version = None if model.model_version is None else str(model.model_version)
    texts = (model.model_name, version, model.handler, model.config_file, model.requirements_file)
    _check_printable(texts, MANIFEST_NAME, archive)
    return MarManifest(
        name=model.model_name or None,
        version=version,
        handler=model.handler or None,
        config_file=model.config_file or None,
        requirements_file=model.requirements_file or None,
    )


def parse_legacy_manifest(raw: bytes, archive: str) -> MarManifest | None:
    """What MANIFEST.json says among the files of an MMS 0.4 archive; None when it is no such manifest.

    Raises LoadError(MANIFEST_INVALID) when it is one and names no service.
    """
    try:
        model = msgspec.json.decode(raw, type=_LegacyDocument).model
    except msgspec.DecodeError:
        return None
    if not model.service:
        message = f"Missing Service entry in {LEGACY_NAME} of {archive}"
        raise LoadError(Code.MANIFEST_INVALID, message, fix="Name the service's file as Model.Service.")
    _check_printable((model.name, model.service), LEGACY_NAME, archive)
    return MarManifest(name=model.name or None, version=None, handler=model.service, is_legacy=True)


def _check_printable(texts: Sequence[str | None], manifest: str, archive: str) -> None:
    if not all((text or "").isprintable() for text in texts):
        message = f"{manifest} in {archive} has a name, a version or a handler that cannot be printed"
        raise LoadError(Code.MANIFEST_INVALID, message, fix=_FIX)


def version_number(version: str | None) -> int:
    """Versions here are whole numbers: `2.1` is 2, and what begins with no number is 1."""
    digits = re.match(r"[0-9]{1,18}(?![0-9])", version or "")
    return int(digits.group()) if digits else 1
