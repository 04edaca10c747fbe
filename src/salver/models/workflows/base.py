"""What a workflow is: its nodes, each a model of its own, and what each of them waits for. Pure."""

from __future__ import annotations

import msgspec

SEPARATOR = "__"
"""Between the workflow's name and the node's in the name of a node's model, as TorchServe has it."""


def model_name(workflow: str, node: str) -> str:
    return f"{workflow}{SEPARATOR}{node}"


class NodeWords(msgspec.Struct, frozen=True, kw_only=True):
    """How one node is run. The defaults are TorchServe's."""

    min_workers: int = 1
    max_workers: int = 1
    batch_size: int = 1
    max_batch_delay_ms: int = 50
    retry_attempts: int = 1
    """How often it is asked again when it fails."""
    timeout_ms: int = 10_000
    """Of each attempt."""


FUNCTION_WORDS = NodeWords(max_batch_delay_ms=0)


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One step: a model from an archive, or a function of the workflow's handler file."""

    name: str
    url: str = ""
    """Of the model's archive; empty for a function."""
    after: tuple[str, ...] = ()
    """The nodes whose answers it gets; the first node, which has none, gets the request."""
    words: NodeWords = NodeWords()

    @property
    def is_function(self) -> bool:
        return not self.url


class Workflow(msgspec.Struct, frozen=True, kw_only=True):
    """A checked workflow. Each node comes after those that it waits for, and there is one first node."""

    name: str
    url: str
    """What it was registered from."""
    nodes: tuple[Node, ...]
    words: NodeWords = NodeWords()
    """Of all nodes that say nothing else."""
    graph: str = ""
    """The graph as TorchServe tells it."""
    is_whole: bool = True
    """Whether all its models were registered; one that is not answers nothing."""

    def model(self, node: Node) -> str:
        """The name of the node's model."""
        return model_name(self.name, node.name)

    @property
    def leaves(self) -> tuple[Node, ...]:
        """The nodes that no other one waits for: their answers are the workflow's."""
        waited_for = {name for node in self.nodes for name in node.after}
        return tuple(node for node in self.nodes if node.name not in waited_for)
