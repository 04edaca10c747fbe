"""Operations about what is served."""

from __future__ import annotations

import msgspec

from salver.operations.base import Home, Operation, Scope
from salver.types import ModelStatus

LIST = Operation(
    name="models.list",
    summary="List the models that the caller may see, with their versions and states.",
    permission="models.list",
    scope=Scope.SERVER,
    home=Home.FRONT,
)
GET = Operation(
    name="models.get",
    summary="Tell one model's versions: state, replicas, signature, reason of a failure.",
    permission="models.get",
    scope=Scope.MODEL,
    home=Home.FRONT,
)

OPERATIONS = (LIST, GET)


class ListModels(msgspec.Struct, frozen=True):
    """Parameters of `models.list`. Its result is a tuple of ModelStatus, by name."""


class GetModel(msgspec.Struct, frozen=True):
    """Parameters of `models.get`. Its result is a ModelStatus; with `version`, of that version alone.

    Errors: MODEL_NOT_FOUND, VERSION_NOT_FOUND, LABEL_NOT_FOUND.
    """

    model: str
    version: int | None = None
    label: str | None = None


ModelList = tuple[ModelStatus, ...]
