"""Requests that share a batch: each caller gets its own rows or its own error, never another's."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from journey_models import write_model
from journey_open_load import all_at_once
from journey_server import Server, serving
from journey_wires import MMS, NATIVE, TFSERVING, WIRES, Wire

CALLERS = 60

ROWS = """
import time
import numpy as np

POISON = -666.0


def predict(x: np.ndarray) -> dict:
    \"\"\"For each row: its first value and its sum; {what}.\"\"\"
    time.sleep(0.02)
    rows = len(x)
    if (x == POISON).any():
        raise ValueError("poison")
    answers = {{"first": x[:, 0], "total": x.sum(axis=1), "together": np.full(rows, rows)}}
    {change}
    return answers
"""
MODELS = {
    "right": ("nothing else", "pass"),
    "fewer": (
        "one row too few whenever there are several",
        "answers = {name: rows[:-1] if len(rows) > 1 else rows for name, rows in answers.items()}",
    ),
    "more": (
        "one row too many, always",
        "answers = {name: np.append(rows, rows[-1]) for name, rows in answers.items()}",
    ),
    "moody": (
        "one row too many whenever there are several",
        "answers = {name: np.append(rows, 9) if len(rows) > 1 else rows for name, rows in answers.items()}",
    ),
}

HANDLER = """
import json, time

class Service:
    def initialize(self, context):
        self.ready = True

    def handle(self, data, context):
        time.sleep(0.02)
        bodies = [row["body"] for row in data]
        if any(body["nonce"] < 0 for body in bodies):
            raise ValueError("poison")
        answers = [{"answer": 7 * body["nonce"] + 3, "together": len(data)} for body in bodies]
        return answers[:-1] if bodies[0].get("short") and len(answers) > 1 else answers
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("batches")
    paths = [
        write_model(folder / name, ROWS.format(what=what, change=change), name=name, batching={"max_batch_rows": 16})
        for name, (what, change) in MODELS.items()
    ]
    with serving(*paths, handler_model(folder / "handler"), folder=folder) as server:
        yield server


def handler_model(folder: Path) -> Path:
    """A model of MXNet Model Server, unpacked, that takes eight requests at once."""
    (folder / "MAR-INF").mkdir(parents=True)
    manifest = {"runtime": "python", "model": {"modelName": "handler", "handler": "service.py"}}
    (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
    (folder / "service.py").write_text(HANDLER)
    (folder / "model.toml").write_text("[batching]\nmax_batch_rows = 8\n")
    return folder


class Asked:
    """One caller's request over some protocol: rows of one width, with numbers that nobody else sends."""

    def __init__(self, wire: Wire, model: str, rows: int, width: int, *, is_poison: bool = False) -> None:
        self.wire = wire
        self.path = wire.address(model)
        self.rows = [[float(random.randrange(1 << 20)) for _ in range(width)] for _ in range(rows)]
        if is_poison:
            self.rows[-1][0] = -666.0
        self.document: Any = {"instances": self.rows} if wire is TFSERVING else {"inputs": {"x": self.rows}}
        self.expected = [{"first": row[0], "total": sum(row)} for row in self.rows]

    def answered(self, body: bytes) -> list[dict[str, float]]:
        """The rows of the answer, each with its outputs by name."""
        document = json.loads(body)
        if self.wire is TFSERVING:
            return list(document["predictions"])
        if self.wire is NATIVE:
            return [
                dict(zip(document["outputs"], row, strict=True))
                for row in zip(*document["outputs"].values(), strict=True)
            ]
        return [document] if len(self.rows) == 1 else list(document)


def check_own(asked: Asked, answer: Any) -> int:
    """The answer is to this very request; how many rows were run together with it."""
    assert answer.status == 200, answer
    rows = asked.answered(answer.body)
    together = {int(row.pop("together")) for row in rows}
    assert rows == asked.expected
    return max(together)


def test_callers_with_rows_of_all_shapes_get_their_own(running, figure):
    asked = [Asked(WIRES[number % 3], "right", random.randint(1, 4), random.randint(1, 3)) for number in range(CALLERS)]
    before = running.metrics()['salver_batches_total{model="right",version="1"}']
    answers = all_at_once(running.url, [(each.path, each.document) for each in asked])
    together = [check_own(each, answer) for each, answer in zip(asked, answers, strict=True)]
    batches = running.metrics()['salver_batches_total{model="right",version="1"}'] - before
    assert max(together) > 4  # more than any caller sent
    assert batches < CALLERS / 2
    figure(f"{CALLERS} callers of three widths in {batches:.0f} batches of up to {max(together)} rows, all their own")


def test_a_row_of_poison_harms_only_the_caller_that_sent_it(running, figure):
    asked = [Asked(WIRES[number % 3], "right", 2, 2, is_poison=number in (20, 40)) for number in range(CALLERS)]
    answers = all_at_once(running.url, [(each.path, each.document) for each in asked])
    for number, (each, answer) in enumerate(zip(asked, answers, strict=True)):
        if number in (20, 40):
            assert answer.status == {"mms": 503}.get(each.wire.name, 500)
            assert b"poison" not in answer.body
            assert each.wire.error_code(json.loads(answer.body))
        else:
            check_own(each, answer)
    figure(f"2 poisoned of {CALLERS}: 2 errors, {CALLERS - 2} right")


@pytest.mark.parametrize("model", ["fewer", "moody"])
def test_a_model_that_loses_count_in_a_batch_is_asked_one_by_one(running, model):
    asked = [Asked(WIRES[number % 3], model, 1, 2) for number in range(CALLERS)]
    answers = all_at_once(running.url, [(each.path, each.document) for each in asked])
    assert {check_own(each, answer) for each, answer in zip(asked, answers, strict=True)} == {1}


def test_a_model_that_never_counts_right_is_told_to_each_caller(running):
    asked = [Asked(WIRES[number % 3], "more", 1, 2) for number in range(9)]
    answers = all_at_once(running.url, [(each.path, each.document) for each in asked])
    for each, answer in zip(asked, answers, strict=True):
        assert answer.status == {"mms": 503}.get(each.wire.name, 500)
        assert b"rows" in answer.body
    assert b"OUTPUT_INVALID" in answers[0].body


def test_a_request_above_the_limit_of_rows_is_answered_whole_and_in_order(running):
    asked = [Asked(WIRES[number % 3], "right", 50, 2) for number in range(6)]
    answers = all_at_once(running.url, [(each.path, each.document) for each in asked])
    assert all(check_own(each, answer) <= 16 for each, answer in zip(asked, answers, strict=True))


@pytest.mark.parametrize("is_short", [False, True])
def test_requests_to_a_handler_are_handed_over_together_and_answered_apart(running, is_short):
    nonces = [random.randrange(1 << 40) for _ in range(CALLERS)]
    nonces[30] = -1
    wires = [(NATIVE, MMS)[number % 2] for number in range(CALLERS)]
    requests = [
        (wire.address("handler"), {"nonce": nonce, "short": is_short})
        for wire, nonce in zip(wires, nonces, strict=True)
    ]
    answers = all_at_once(running.url, requests)
    together = []
    for nonce, answer in zip(nonces, answers, strict=True):
        if nonce < 0:
            assert 500 <= answer.status < 600
            continue
        assert answer.status == 200, answer
        document = json.loads(answer.body)
        assert document["answer"] == 7 * nonce + 3
        together.append(document["together"])
    assert (max(together) > 1) is not is_short
