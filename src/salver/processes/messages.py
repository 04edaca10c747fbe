"""The words that the two halves use towards each other, beside those that have a type of their own."""

from __future__ import annotations

import msgspec

from salver.errors import Code, SalverError
from salver.types import ModelVersion


class Attachment(msgspec.Struct, frozen=True):
    """The words that go with a data link's descriptor."""

    version: ModelVersion
    replica_id: str
    link_number: int


class BatchName(msgspec.Struct, frozen=True):
    replica_id: str
    link_number: int
    batch_id: int


class Sleeper(msgspec.Struct, frozen=True):
    """A version that somebody asks for; None stands for the default one."""

    model: str
    version: int | None


class Overdue(msgspec.Struct, frozen=True):
    replica_id: str
    reason: str


def unknown(name: str) -> SalverError:
    """Both halves are of one version, so a message that one of them does not know is a fault of the server."""
    return SalverError(Code.INTERNAL, f"The other half of the server does not know the message {name!r}.")
