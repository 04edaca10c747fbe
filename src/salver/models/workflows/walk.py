"""One request on its way through a workflow's graph: answers in, the nodes to ask next out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

from salver.models.workflows.base import Node, Workflow

Output = TypeVar("Output")


class Walk(Generic[Output]):
    """Each node is told once, as soon as all those that it waits for have answered."""

    def __init__(self, workflow: Workflow) -> None:
        self._workflow = workflow
        self._told: set[str] = set()
        self.answers: dict[str, Output] = {}
        """By the node's name."""

    def ready(self) -> Sequence[Node]:
        """The nodes to ask now."""
        found = [
            node
            for node in self._workflow.nodes
            if node.name not in self._told and all(name in self.answers for name in node.after)
        ]
        self._told |= {node.name for node in found}
        return found

    def inputs(self, node: Node) -> dict[str, Output]:
        """What the nodes before it answered, by their names."""
        return {name: self.answers[name] for name in node.after}

    @property
    def is_over(self) -> bool:
        return len(self.answers) == len(self._workflow.nodes)

    @property
    def results(self) -> dict[str, Output]:
        """What the last nodes answered, by their names, once all is over."""
        return {node.name: self.answers[node.name] for node in self._workflow.leaves}
