"""Operations about workflows: several models and functions that answer one request together."""

from __future__ import annotations

import msgspec

from salver.models.workflows.base import Node, NodeWords, Workflow
from salver.models.workflows.graph import GraphRefused
from salver.operations.base import Home, Operation, Scope

__all__ = ["GraphRefused", "Node", "NodeWords", "Workflow"]

PREDICT = Operation(
    name="workflows.predict",
    summary="Ask a workflow for its answer: its models and functions are asked one after the other, as its graph says.",
    permission="models.predict",
    scope=Scope.MODEL,
    home=Home.FRONT,
)
LIST = Operation(
    name="workflows.list",
    summary="List the workflows that the caller may see.",
    permission="models.list",
    scope=Scope.SERVER,
    home=Home.FRONT,
)
GET = Operation(
    name="workflows.get",
    summary="Tell a workflow's nodes and graph.",
    permission="models.get",
    scope=Scope.MODEL,
    home=Home.FRONT,
)
REGISTER = Operation(
    name="workflows.register",
    summary="Register a workflow from its archive, each of its models and functions as a model of its own.",
    permission="models.publish",
    scope=Scope.MODEL,
    home=Home.CONTROL,
    changes_state=True,
)
DELETE = Operation(
    name="workflows.delete",
    summary="Delete a workflow and its models.",
    permission="models.delete",
    scope=Scope.MODEL,
    home=Home.CONTROL,
    changes_state=True,
)
OPERATIONS = (PREDICT, LIST, GET, REGISTER, DELETE)

DEFAULT_WAIT_S = 120.0


class ListWorkflows(msgspec.Struct, frozen=True):
    """Parameters of `workflows.list`. Its result is a tuple of Workflow, by name."""


class GetWorkflow(msgspec.Struct, frozen=True):
    """Parameters of `workflows.get`. Its result is a Workflow. Errors: MODEL_NOT_FOUND."""

    name: str


class RegisterWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `workflows.register`. Its result is the Workflow, once all its models serve.

    When one of them does not, none of them stays. The permission is asked for each of the models too.

    Errors: MODEL_NOT_FOUND when the archive is not there, or that of one of its models; MANIFEST_INVALID; INVALID_INPUT
    (GraphRefused) for a graph without an order; CONFLICT when there is such a workflow; LOAD_FAILED.
    """

    name: str
    """What the permission is about."""
    location: str
    """A file of the workflow store."""
    has_own_name: bool = False
    """Whether the archive's own name for its workflow counts, for callers who may publish any model."""
    deadline_s: float | None = None
    """Of the models' requests; None: as for other models."""
    wait_s: float = DEFAULT_WAIT_S


class DeleteWorkflow(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of `workflows.delete`. Its result is the Workflow that was. Errors: MODEL_NOT_FOUND."""

    name: str


def name_for(name: str, location: str) -> str:
    """What a workflow is called for the permission: as the call names it, else as its archive's file is called."""
    return name or location.rstrip("/").rpartition("/")[2].removesuffix(".war")
