"""Changes of what should be served come one after the other and outlive the server, and so do failures."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from catalogue_stage import FAILURE, play, refusal
from msgspec.structs import replace

from salver.errors import Code, RequestError, SalverError
from salver.models import edits
from salver.store.base import CatalogueChange
from salver.types import ModelVersion, Scale, VersionState
from virtual_time import settle

# Changes


def test_settings_outlive_the_server(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.push(make_adder(2))
        await server.change(edits.promote(1))
        await server.change(edits.label("canary", 2))
        await server.change(edits.scale(lambda scale: replace(scale, replicas=3)))
        wanted = start_server().lives.wanted["m"]
        assert wanted.labels == {"stable": 1, "canary": 2}
        assert [(spec.id.version, spec.replicas) for spec in wanted.specs] == [(2, 3), (1, 3)]
        assert wanted.scale == Scale(replicas=3)

    play(story)


def test_an_unloaded_model_is_known_and_sleeps(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.change(edits.unload)
        assert start_server().lives.wanted["m"].asleep == (1,)
        await server.change(edits.load(None))
        assert server.lives.wanted["m"].asleep == ()

    play(story)


def test_what_changes_nothing_is_no_new_revision(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        outcome = await server.change(edits.load(None))
        assert (outcome.revision, outcome.plan.steps) == (1, ())

    play(story)


def test_a_change_meant_for_an_older_revision_is_a_conflict(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.change(edits.unload, revision=1)
        with pytest.raises(RequestError) as raised:
            await server.change(edits.load(None), revision=1)
        assert refusal(raised) is Code.CONFLICT

    play(story)


def test_changes_of_one_model_come_one_after_the_other(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        made = await asyncio.gather(*(server.push(make_adder(number)) for number in range(1, 6)))
        assert sorted(outcome.version for outcome in made) == [1, 2, 3, 4, 5]
        labels = [server.change(edits.label(f"l{number}", number)) for number in range(1, 6)]
        assert sorted(outcome.revision for outcome in await asyncio.gather(*labels)) == [6, 7, 8, 9, 10]
        (record,) = server.store.models()
        assert record.labels == {f"l{number}": number for number in range(1, 6)}

    play(story)


def test_a_change_waits_for_a_deletion_and_then_finds_nothing(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        gone, late = await asyncio.gather(
            server.change(edits.delete(None)), server.change(edits.promote(1)), return_exceptions=True
        )
        assert (gone.revision, gone.now) == (0, None)
        assert isinstance(late, RequestError)
        assert late.code is Code.MODEL_NOT_FOUND
        assert (server.store.models(), server.store.versions()) == ((), ())
        await server.catalogue.finished()
        assert server.repository.digests() == ()

    play(story)


def test_whoever_stops_waiting_does_not_part_store_and_memory(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        change = asyncio.ensure_future(server.change(edits.label("canary", 1)))
        await asyncio.sleep(0)
        change.cancel()
        await server.catalogue.finished()
        assert server.lives.wanted["m"].labels == server.store.models()[0].labels

    play(story)


def test_a_change_that_the_store_refuses_is_not_made(start_server: Any, make_adder: Any) -> None:
    """Another server on the same database was faster."""

    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        (record,) = server.store.models()
        server.store.change_catalogue(CatalogueChange(put=(replace(record, revision=2),)))
        with pytest.raises(SalverError) as raised:
            await server.change(edits.unload)
        assert raised.value.code is Code.CONFLICT
        assert server.lives.wanted["m"].asleep == ()

    play(story)


def test_the_outcome_says_whether_all_has_come_to_rest(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        made = await server.push(make_adder(1))
        server.lives.is_waiting = True
        assert not (await server.catalogue.settle(made, 1.0)).is_settled
        server.lives.is_waiting = False
        settled = await server.catalogue.settle(made, 1.0)
        assert settled.is_settled
        assert settled.now.versions[0].state is VersionState.READY
        planned = await server.change(edits.unload, is_plan=True)
        assert await server.catalogue.settle(planned, 1.0) is planned

    play(story)


# Failures


def test_after_a_restart_an_older_version_answers_for_one_that_failed(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        for number in (1, 2, 3):
            await server.push(make_adder(number))
        server.catalogue.note_failure(ModelVersion("m", 3), FAILURE)
        await server.catalogue.kept()
        assert start_server().wanted() == (3, 2)
        await server.change(edits.delete(2))
        await server.catalogue.finished()
        assert start_server().wanted() == (3, 1)
        await server.change(edits.load(None))
        assert start_server().wanted() == (3,)

    play(story)


def test_a_failed_load_is_remembered_until_it_is_tried_again(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        made = await server.push(make_adder(1))
        server.catalogue.note_failure(ModelVersion("m", 1), FAILURE)
        settled = await server.catalogue.settle(made, 1.0)
        assert settled.now.versions[0].state is VersionState.FAILED
        again = start_server()
        assert again.lives.wanted["m"].failures == {1: FAILURE}
        assert again.catalogue.versions("m").versions[0].failure == FAILURE
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures == {}
        assert start_server().lives.wanted["m"].failures == {}

    play(story)


def test_failures_of_what_is_not_there_or_was_none_are_no_news(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        told = server.lives.told
        server.catalogue.note_failure(ModelVersion("m", 9), FAILURE)
        server.catalogue.note_failure(ModelVersion("n", 1), FAILURE)
        server.catalogue.note_failure(ModelVersion("m", 1), None)
        await settle()
        assert server.lives.told == told

    play(story)


def test_a_version_that_serves_after_all_has_not_failed(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        server.catalogue.note_failure(ModelVersion("m", 1), FAILURE)
        server.catalogue.note_failure(ModelVersion("m", 1), None)
        await server.catalogue.kept()
        await settle()
        assert server.store.versions()[0].failure is None

    play(story)


def test_a_damaged_artefact_fails_alone_and_is_tried_again_once_it_is_mended(
    start_server: Any, make_adder: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.push(make_adder(2), model="other")
        digest = next(record.digest for record in server.store.versions() if record.model == "m")
        server.repository.remove(digest)
        again = start_server()
        assert again.lives.wanted["m"].failures[1].fix
        assert again.lives.wanted["other"].failures == {}
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures[1].code == "LOAD_FAILED"
        again.repository.publish(make_adder(1))
        await again.change(edits.load(1))
        assert again.lives.wanted["m"].failures == {}

    play(story)
