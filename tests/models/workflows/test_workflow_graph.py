"""The order of a workflow's nodes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from workflow_graphs import graphs

from salver.errors import Code
from salver.models.workflows.graph import Graph, GraphRefused, ordered, predecessors


@given(graphs())
def test_every_node_comes_after_those_whose_answers_it_gets(graph: Graph) -> None:
    order = ordered(graph)
    assert sorted(order) == sorted(graph)
    for name, names in predecessors(graph).items():
        assert all(order.index(before) < order.index(name) for before in names)


@given(graphs())
def test_predecessors_are_the_same_edges_the_other_way_round(graph: Graph) -> None:
    edges = {(begin, end) for begin, ends in graph.items() for end in ends}
    assert {(begin, end) for end, begins in predecessors(graph).items() for begin in begins} == edges


@given(graphs(), st.data())
def test_a_way_back_is_refused(graph: Graph, data: st.DataObject) -> None:
    order = ordered(graph)
    late = data.draw(st.integers(0, len(order) - 1))
    early = data.draw(st.integers(0, late))
    reached = {order[early]}
    for name in order:
        if name in reached:
            reached |= set(graph[name])
    if order[late] not in reached:
        return
    looped = {name: [*ends, order[early]] if name == order[late] else ends for name, ends in graph.items()}
    with pytest.raises(GraphRefused) as refused:
        ordered(looped)
    assert refused.value.code is Code.INVALID_INPUT


def test_a_node_that_is_named_twice_gets_one_answer() -> None:
    assert predecessors({"a": ["b", "b"]}) == {"a": (), "b": ("a",)}


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ({}, "DAG should have only one start node: these follow no other: none"),
        ({"a": ["c"], "b": ["c"]}, "DAG should have only one start node: these follow no other: a, b"),
        ({"a": ["a"]}, "Self loop exception: a follows itself"),
        ({"a": ["b"], "b": ["c"], "c": ["b"]}, "Not a valid DAG: these wait for one another: b, c"),
    ],
)
def test_what_cannot_be_followed_is_said_in_torchserves_words(graph: Graph, words: str) -> None:
    with pytest.raises(GraphRefused) as refused:
        ordered(graph)
    assert refused.value.message == words
