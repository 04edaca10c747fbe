"""What does not fit what is stored, in words; the same from every store. Pure."""

from __future__ import annotations

from salver.errors import Code, SalverError
from salver.store.base import ModelRecord, VersionRecord


def key_exists(id: str) -> SalverError:
    return SalverError(Code.CONFLICT, f"There is already a key with the id {id}.")


def version_exists(record: VersionRecord) -> SalverError:
    return SalverError(
        Code.CONFLICT,
        f"There is already a version {record.version} of the model {record.model}.",
        fix="Publish it under another number; what is published never changes.",
    )


def check_revision(record: ModelRecord, stored: int | None) -> None:
    """Raises SalverError(CONFLICT) unless the record's revision is the one after the stored one (None: no record)."""
    if record.revision == (stored or 0) + 1:
        return
    now = "is not there any more" if stored is None else f"is at revision {stored}"
    raise SalverError(
        Code.CONFLICT,
        f"The model {record.name} was changed by somebody else meanwhile: it {now}, "
        f"and this change would have made revision {record.revision}.",
    )
