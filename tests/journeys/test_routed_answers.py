"""Routes at a real server: shares are what was asked for, and a caller that is to stay with one version does."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from journey_models import new_nonce, right_answer
from journey_versions import LONG, MODEL, Versions, versions
from journey_wires import MMS, NATIVE, WIRES, Wire

SIGMAS = 5
"""A fair route leaves these bounds once in a million runs."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Versions]:
    """Two front ends with versions 1 and 2, both loaded."""
    with versions(Path(tmp_path_factory.mktemp("routes")), processes=2) as served:
        served.push(1)
        served.client.policy(MODEL, "all")
        served.push(2)
        yield served


def answering(
    served: Versions, wire: Wire, session: requests.Session | None = None, at: str = "", headers: Any = None
) -> int:
    """The version that answered; the answer is held to being the caller's own."""
    nonce = new_nonce()
    address = served.server.url + wire.address(MODEL).replace("/predict", at + "/predict", 1 if at else 0)
    answer = (session or requests).post(address, json=wire.body({"nonce": nonce, "act": ""}), headers=headers)
    assert answer.status_code == 200, answer.text
    row = wire.row(answer.json())
    assert row["answer"] == right_answer(nonce)
    return int(row["version"])


@pytest.mark.proof("ROUTES")
@pytest.mark.slow
@pytest.mark.parametrize("weights", [{1: 50, 2: 50}, {1: 90, 2: 10}], ids=["50 and 50", "90 and 10"])
def test_each_version_gets_its_share(two: Versions, figure: Any, size: Any, weights: dict[int, int]) -> None:
    two.client.route(MODEL, weights, how=LONG)
    count = size(300, 10_000)
    with requests.Session() as session:
        answers = Counter(answering(two, WIRES[number % 3], session) for number in range(count))
    share = weights[2] / sum(weights.values())
    bound = SIGMAS * math.sqrt(count * share * (1 - share))
    assert abs(answers[2] - count * share) < bound
    assert answers[1] + answers[2] == count
    figure(f"{count} requests on three protocols, 0 lost; {answers[1]} by version 1, {answers[2]} by version 2")


@pytest.mark.proof("ROUTES")
@pytest.mark.slow
def test_a_caller_stays_with_one_version_by_its_header(two: Versions, figure: Any, size: Any) -> None:
    two.client.route(MODEL, {1: 50, 2: 50}, sticky="header:X-User", how=LONG)
    callers = size(20, 200)
    found = {
        caller: {answering(two, WIRES[number % 3], headers={"X-User": f"user {caller}"}) for number in range(6)}
        for caller in range(callers)
    }
    assert all(len(seen) == 1 for seen in found.values())
    assert {version for seen in found.values() for version in seen} == {1, 2}
    figure(f"{callers} callers over 2 front ends and three protocols, each with one version")


@pytest.mark.proof("ROUTES")
@pytest.mark.slow
def test_a_caller_stays_with_one_version_by_its_key(two: Versions, figure: Any) -> None:
    two.client.route(MODEL, {1: 50, 2: 50}, sticky="principal", how=LONG)
    keys = [two.client.create_key(f"user {number}", "user").key for number in range(12)]
    found = {
        key: {answering(two, WIRES[number % 3], headers={"Authorization": f"Bearer {key}"}) for number in range(6)}
        for key in keys
    }
    assert all(len(seen) == 1 for seen in found.values())
    assert {version for seen in found.values() for version in seen} == {1, 2}
    figure(f"{len(keys)} keys over 2 front ends and three protocols, each with one version")


@pytest.mark.slow
def test_a_version_or_a_label_in_the_address_wins_over_the_route(two: Versions) -> None:
    two.client.route(MODEL, {1: 99}, how=LONG)
    two.client.label(MODEL, "canary", 2, how=LONG)
    with requests.Session() as session:
        for _ in range(10):
            assert answering(two, NATIVE, session) == 1
            assert answering(two, NATIVE, session, at="/versions/2") == 2
            assert answering(two, NATIVE, session, at="/labels/canary") == 2
    address = f"{two.server.url}/v1/models/{MODEL}/labels/canary:predict"
    body = {"instances": [{"nonce": 1, "act": ""}]}
    assert requests.post(address, json=body).json()["predictions"][0]["version"] == 2
    address = f"{two.server.url}{MMS.address(MODEL)}/2"
    assert requests.post(address, json=MMS.body({"nonce": 1, "act": ""})).json()["version"] == 2
