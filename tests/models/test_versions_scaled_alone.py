"""Versions with a number of replicas of their own, and those that are published beside others."""

from __future__ import annotations

from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.models import edits
from salver.models.admission import check_own_name
from salver.models.desired import check_scale, scaled_version, without_version
from salver.models.keptsettings import ArtefactSettings
from salver.models.ownwords import manifest_text
from salver.models.planning import ModelState
from salver.models.wanted import WantedModel
from salver.store.base import ModelRecord
from salver.types import STABLE, PolicyKind, Scale, own_name_or_number, own_number


def state(*known: int, **fields: Any) -> ModelState:
    record = ModelRecord(name="m", updated_at=0.0, updated_by="", **fields)
    return ModelState(name="m", record=record, known=known)


def test_a_version_has_its_own_number_of_replicas_whatever_others_have() -> None:
    scaled = edits.scale_version(2, 3)(state(2, 1, scale=Scale(replicas=5)))
    after = ModelState(name="m", record=scaled.record, known=(2, 1))
    assert (after.replica_count(2), after.replica_count(1)) == (3, 5)


def test_a_version_with_none_is_known_and_not_loaded() -> None:
    beside = edits.beside(state(2, 1), 2, 0)
    after = ModelState(name="m", record=beside, known=(2, 1))
    assert (after.picked, after.wanted) == ((2, 1), (1,))
    assert WantedModel(name="m", scale=beside.scale).switched_off == {2}
    assert after.replica_count(2) == 1, "as model.toml says, once it is loaded again"


def test_the_version_that_answered_goes_on_to() -> None:
    first = edits.beside(state(), 1, 1)
    assert (first.labels, first.policy.kind) == ({STABLE: 1}, PolicyKind.ALL)
    assert edits.beside(state(1), 2, None).labels == {STABLE: 1}
    kept = ModelState(name="m", record=first, known=(2, 1))
    assert edits.beside(kept, 2, 1).labels == {STABLE: 1}


def test_a_version_that_goes_takes_its_number_along() -> None:
    record = scaled_version(state(2, 1).record, 2, 3)
    assert without_version(record, 2).scale.by_version == {}


@pytest.mark.parametrize("replicas", [-1, 1001])
def test_a_number_that_makes_no_sense_is_refused(replicas: int) -> None:
    with pytest.raises(RequestError) as raised:
        check_scale(Scale(by_version={1: replicas}))
    assert raised.value.code is Code.INVALID_INPUT


def test_a_version_that_is_not_there_is_not_scaled() -> None:
    with pytest.raises(RequestError) as raised:
        edits.scale_version(9, 1)(state(1))
    assert raised.value.code is Code.VERSION_NOT_FOUND


def test_an_own_name_is_given_once() -> None:
    check_own_name("m", "2.0", ["1.0"])
    with pytest.raises(RequestError, match=r"Model version 1\.0 is already registered for model m"):
        check_own_name("m", "1.0", ["1.0"])


@pytest.mark.parametrize(("name", "number"), [("2", 2), ("2.0", 2), ("2.0.0", 2), ("2.1", None), ("", None)])
def test_an_own_name_may_be_a_number(name: str, number: int | None) -> None:
    assert own_number(name) == number


def test_without_an_own_name_there_is_the_number() -> None:
    assert (own_name_or_number("", 3), own_name_or_number("x", 3)) == ("3.0", "x")


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (ArtefactSettings(), ""),
        (
            ArtefactSettings(handler='a"b.py', deadline_s=7, max_batch_rows=4, max_batch_delay_ms=50),
            'handler = "a\\"b.py"\ndeadline_s = 7\n[batching]\nmax_batch_rows = 4\nmax_batch_delay_ms = 50\n',
        ),
    ],
)
def test_settings_of_a_registration_are_a_model_toml(settings: ArtefactSettings, text: str) -> None:
    assert manifest_text(settings) == text
