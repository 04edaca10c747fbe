"""A workflow's specification: TorchServe's YAML file, read as a document already, becomes a checked workflow. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec.structs import replace

from salver.errors import Code, LoadError
from salver.models.naming import NAME_RULE, is_name
from salver.models.workflows.base import FUNCTION_WORDS, Node, NodeWords, Workflow, model_name
from salver.models.workflows.graph import ordered, predecessors

KEYS: Mapping[str, tuple[str, int, int]] = {
    "min-workers": ("min_workers", 1, 1024),
    "max-workers": ("max_workers", 1, 1024),
    "batch-size": ("batch_size", 1, 1_000_000),
    "max-batch-delay": ("max_batch_delay_ms", 0, 3_600_000),
    "retry-attempts": ("retry_attempts", 0, 100),
    "timeout-ms": ("timeout_ms", 1, 3_600_000),
}
"""Each key with its field and its bounds."""
MAX_NODES = 256


def workflow_of(
    document: Mapping[str, Any], name: str, url: str, functions: Collection[str] | None, place: str
) -> Workflow:
    """The workflow that the specification describes; `place` is what messages call its file.

    `functions` are those of the handler file; None where nobody can say which there are. Raises LoadError, and
    GraphRefused for a graph without an order.
    """
    models = _mapping(document, "models", place)
    words = _words(NodeWords(), models, "models", place)
    archives = {str(key): _archive(str(key), row, words, place) for key, row in models.items() if key not in KEYS}
    graph = _graph(document, place)
    order, before = ordered(graph), predecessors(graph)
    if len(order) > MAX_NODES:
        raise _refused(place, f"dag has {len(order)} nodes, and {MAX_NODES} are the most")
    nodes = [
        replace(archives.get(node) or _function(node, functions, archives, words, place), after=before[node])
        for node in order
    ]
    for node in nodes:
        if not is_name(model_name(name, node.name)):
            raise _refused(place, f"{model_name(name, node.name)!r} cannot be a model's name ({NAME_RULE})")
    return Workflow(name=name, url=url, nodes=tuple(nodes), words=words, graph=_told(graph))


def _archive(name: str, row: Any, words: NodeWords, place: str) -> Node:
    if not isinstance(row, Mapping):
        raise _refused(place, f"models has {name}, which is neither a key ({', '.join(KEYS)}) nor a model with its url")
    url = row.get("url")
    if not isinstance(url, str) or not url:
        raise _refused(place, f"the model {name} has no url")
    return Node(name=name, url=url, words=_words(words, row, name, place))


def _function(
    name: str, functions: Collection[str] | None, archives: Collection[str], words: NodeWords, place: str
) -> Node:
    """A node that is no model must be a function of the handler file."""
    if functions is not None and name not in functions:
        known = ", ".join([*archives, *sorted(functions)]) or "none"
        raise _refused(
            place,
            f"dag has the node {name}, which is neither a model nor a function of the handler; these are: {known}",
        )
    own = replace(FUNCTION_WORDS, retry_attempts=words.retry_attempts, timeout_ms=words.timeout_ms)
    return Node(name=name, words=own)


def _words(words: NodeWords, row: Mapping[str, Any], about: str, place: str) -> NodeWords:
    """The words with what the row says."""
    given: dict[str, int] = {}
    for key, (field, least, most) in KEYS.items():
        value = row.get(key)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise _refused(place, f"{key} of {about} must be a whole number from {least} to {most}, not {value!r}")
        given[field] = value
    return replace(words, **given)


def _graph(document: Mapping[str, Any], place: str) -> dict[str, tuple[str, ...]]:
    graph: dict[str, tuple[str, ...]] = {}
    for key, followers in _mapping(document, "dag", place).items():
        if followers is not None and not isinstance(followers, list):
            raise _refused(place, f"dag must have a list of nodes for {key}")
        names = [str(follower).strip() for follower in followers or () if follower is not None]
        graph[str(key)] = tuple(name for name in names if name)
    return graph


def _mapping(document: Mapping[str, Any], key: str, place: str) -> Mapping[str, Any]:
    found = document.get(key)
    if not isinstance(found, Mapping):
        raise _refused(place, f"has no mapping `{key}`")
    return found


def _told(graph: Mapping[str, tuple[str, ...]]) -> str:
    """As Java writes a map of lists."""
    return "{" + ", ".join(f"{name}=[{', '.join(followers)}]" for name, followers in graph.items()) + "}"


def _refused(place: str, why: str) -> LoadError:
    fix = "Correct the specification and pack the workflow again, with `torch-workflow-archiver`."
    return LoadError(Code.MANIFEST_INVALID, f"{place}: {why}", fix=fix)
