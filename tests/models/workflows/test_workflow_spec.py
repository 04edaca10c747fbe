"""TorchServe's specification of a workflow, as it is read."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.workflows.base import NodeWords, Workflow
from salver.models.workflows.handlerfile import functions_of
from salver.models.workflows.spec import MAX_NODES, workflow_of

MODELS = {"min-workers": 2, "timeout-ms": 500, "m": {"url": "m.mar", "batch-size": 4, "retry-attempts": 0}}
DAG = {"pre": ["m"], "m": ["post"]}


def read(document: Any, functions: frozenset[str] | None = frozenset({"pre", "post"}), name: str = "w") -> Workflow:
    return workflow_of(document, name, "w.war", functions, "w.war: w.yaml")


def refused(document: Any, **options: Any) -> str:
    with pytest.raises(LoadError) as refusal:
        read(document, **options)
    assert refusal.value.code is Code.MANIFEST_INVALID
    assert refusal.value.fix
    return refusal.value.message


def test_models_and_functions_become_nodes_in_order() -> None:
    flow = read({"models": MODELS, "dag": DAG})
    assert [(node.name, flow.model(node), node.url, node.after) for node in flow.nodes] == [
        ("pre", "w__pre", "", ()),
        ("m", "w__m", "m.mar", ("pre",)),
        ("post", "w__post", "", ("m",)),
    ]
    assert [node.is_function for node in flow.nodes] == [True, False, True]
    assert [leaf.name for leaf in flow.leaves] == ["post"]


def test_a_model_says_otherwise_than_all_and_a_function_has_one_worker() -> None:
    flow = read({"models": MODELS, "dag": DAG})
    pre, model, _ = (node.words for node in flow.nodes)
    assert flow.words == NodeWords(min_workers=2, timeout_ms=500)
    assert model == NodeWords(min_workers=2, timeout_ms=500, batch_size=4, retry_attempts=0)
    assert pre == NodeWords(timeout_ms=500, max_batch_delay_ms=0)


def test_the_graph_is_told_as_java_writes_it() -> None:
    flow = read({"models": MODELS, "dag": {"pre": ["m", "post"], "m": [None, " "], "post": None}})
    assert flow.graph == "{pre=[m, post], m=[], post=[]}"


def test_functions_that_nobody_can_list_are_taken_at_their_word() -> None:
    assert len(read({"models": MODELS, "dag": {"any": ["m"]}}, None).nodes) == 2


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"dag": DAG}, "has no mapping `models`"),
        ({"models": MODELS}, "has no mapping `dag`"),
        ({"models": {**MODELS, "n": "n.mar"}, "dag": DAG}, "models has n, which is neither a key"),
        ({"models": {"m": {}}, "dag": DAG}, "the model m has no url"),
        ({"models": {"m": {"url": 1}}, "dag": DAG}, "the model m has no url"),
        ({"models": {**MODELS, "batch-size": 0}, "dag": DAG}, "batch-size of models must be a whole number from 1"),
        ({"models": {**MODELS, "timeout-ms": True}, "dag": DAG}, "timeout-ms of models must be a whole number"),
        ({"models": {"m": {"url": "m", "retry-attempts": "2"}}, "dag": DAG}, "retry-attempts of m must be a whole"),
        ({"models": MODELS, "dag": {"pre": "m"}}, "dag must have a list of nodes for pre"),
        ({"models": MODELS, "dag": {"nobody": ["m"]}}, "the node nobody, which is neither a model nor a function"),
        ({"models": MODELS, "dag": {"m": ["a b"]}}, "the node a b, which is neither"),
    ],
)
def test_what_is_wrong_is_said(document: Any, words: str) -> None:
    message = refused(document)
    assert message.startswith("w.war: w.yaml: ")
    assert words in message


def test_a_node_must_make_the_name_of_a_model() -> None:
    assert "cannot be a model's name" in refused({"models": MODELS, "dag": {"a b": ["m"]}}, functions=None)


def test_a_graph_has_an_end() -> None:
    row = [f"f{number}" for number in range(MAX_NODES + 1)]
    dag = {begin: [end] for begin, end in itertools.pairwise(row)}
    assert f"{MAX_NODES} are the most" in refused({"models": {}, "dag": dag}, functions=None)


def test_a_handler_files_functions_are_found_without_running_it() -> None:
    source = b"""
import json
from beside import other as helper
raise SystemExit
def pre(data, context): pass
class Box: pass
post = pre
a.b = 1
"""
    assert functions_of(source, "h.py") == {"helper", "pre", "Box", "post"}


@pytest.mark.parametrize(
    "source", [b"from beside import *", b"if True:\n    def pre(): pass", b"try:\n  x = 1\nfinally: 0"]
)
def test_what_only_running_would_tell_is_not_judged(source: bytes) -> None:
    assert functions_of(source, "h.py") is None


@pytest.mark.parametrize("source", [b"def (", b"\0"])
def test_a_handler_that_is_no_python_is_refused(source: bytes) -> None:
    with pytest.raises(LoadError, match=r"h\.py, the workflow's handler, is no Python"):
        functions_of(source, "h.py")
