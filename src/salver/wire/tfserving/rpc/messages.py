"""Reading messages, and what they name. Pure."""

from __future__ import annotations

from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from salver.types import DEFAULT_SIGNATURE, VersionInfo
from salver.wire.tfserving.addresses import Address, Verb
from salver.wire.tfserving.errors import invalid
from salver.wire.tfserving.pb import serving_pb2 as tfs

M = TypeVar("M", bound=Message)


def read(kind: type[M], body: bytes) -> M:
    """The message of this kind. Raises RequestError(INVALID_INPUT)."""
    try:
        return kind.FromString(body)
    except DecodeError:
        raise invalid(f"The message is no {kind.DESCRIPTOR.full_name}.") from None


def address_of(spec: tfs.ModelSpec, verb: Verb, *, is_there: bool) -> Address:
    """What a spec names; `is_there` is whether the message has it. Raises RequestError(INVALID_INPUT)."""
    if not is_there:
        raise invalid("Missing ModelSpec")
    if not spec.name:
        raise invalid("ModelSpec has no name specified.")
    choice = spec.WhichOneof("version_choice")
    return Address(
        verb,
        spec.name,
        spec.version.value if choice == "version" else None,
        spec.version_label if choice == "version_label" else None,
    )


def answering_spec(version: VersionInfo, signature_name: str) -> tfs.ModelSpec:
    """Who answered: the version that it really was, whatever was asked for."""
    spec = tfs.ModelSpec(name=version.id.model, signature_name=signature_name or DEFAULT_SIGNATURE)
    spec.version.value = version.id.version
    return spec
