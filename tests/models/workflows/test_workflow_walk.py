"""One request on its way through a graph."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from workflow_graphs import graphs, workflow

from salver.models.workflows.graph import Graph
from salver.models.workflows.walk import Walk


@given(graphs(), st.randoms(use_true_random=False))
def test_each_node_is_told_once_and_when_all_before_it_have_answered(graph: Graph, chance: st.DataObject) -> None:
    flow = workflow(graph)
    walk: Walk[str] = Walk(flow)
    under_way = list(walk.ready())
    told = [node.name for node in under_way]
    assert len(told) == 1
    while under_way:
        node = under_way.pop(chance.randrange(len(under_way)))  # type: ignore[attr-defined]
        assert walk.inputs(node) == {name: f"of {name}" for name in node.after}
        walk.answers[node.name] = f"of {node.name}"
        ready = walk.ready()
        under_way += ready
        told += [found.name for found in ready]
        assert walk.is_over == (len(walk.answers) == len(graph))
    assert walk.is_over
    assert sorted(told) == sorted(graph)
    assert walk.results == {name: f"of {name}" for name, ends in graph.items() if not ends}


def test_branches_are_told_together() -> None:
    walk: Walk[int] = Walk(workflow({"a": ["b", "c"], "b": ["d"], "c": ["d"], "d": []}))
    assert [node.name for node in walk.ready()] == ["a"]
    assert walk.ready() == []
    walk.answers["a"] = 1
    assert [node.name for node in walk.ready()] == ["b", "c"]
    walk.answers["c"] = 3
    assert walk.ready() == []
    walk.answers["b"] = 2
    (last,) = walk.ready()
    assert walk.inputs(last) == {"b": 2, "c": 3}
