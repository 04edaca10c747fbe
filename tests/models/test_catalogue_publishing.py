"""What is published becomes a version and is there again after a restart; what is refused leaves nothing behind."""

from __future__ import annotations

import asyncio
import zipfile
from pathlib import Path
from typing import Any

import pytest
from catalogue_stage import content_of, play, refusal

from salver.errors import Code, LoadError, RequestError
from salver.models import edits
from salver.models.intake import Publication
from salver.models.outcome import Asked
from salver.types import ModelVersion


def test_what_was_pushed_is_wanted_and_is_there_again_after_a_restart(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        outcome = await server.push(make_adder(1))
        assert (outcome.version, outcome.revision, outcome.is_plan) == (1, 1, False)
        assert server.wanted() == (1,)
        (first,) = server.lives.wanted["m"].specs
        again = start_server()
        assert again.wanted() == (1,)
        (spec,) = again.lives.wanted["m"].specs
        assert (spec.source, content_of(spec)) == ("adder.py", content_of(first))

    play(story)


def test_the_next_version_takes_the_place_of_the_one_before(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        outcome = await server.push(make_adder(2))
        assert outcome.version == 2
        assert server.wanted() == (2,)
        assert [version.version for version in server.catalogue.versions("m").versions] == [2, 1]

    play(story)


def test_the_same_artefact_again_is_the_same_version(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.push(make_adder(2))
        outcome = await server.push(make_adder(1))
        assert (outcome.version, outcome.plan.steps) == (1, ())
        assert len(server.store.versions()) == 2

    play(story)


def test_the_same_artefact_may_be_another_version_too_and_stays_as_long_as_one_needs_it(
    start_server: Any, make_adder: Any
) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.push(make_adder(1), version=5)
        await server.change(edits.delete(1))
        await server.catalogue.finished()
        (left,) = server.store.versions()
        assert (left.version, server.repository.digests()) == (5, (left.digest,))
        await server.change(edits.delete(5))
        await server.catalogue.finished()
        assert server.repository.digests() == ()

    play(story)


def test_a_number_that_is_taken_is_refused_and_leaves_nothing_behind(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        with pytest.raises(RequestError, match="a version never changes") as raised:
            await server.push(make_adder(2), version=1)
        assert refusal(raised) is Code.CONFLICT
        assert len(server.repository.digests()) == 1

    play(story)


def test_what_is_no_model_is_refused_and_leaves_nothing_behind(start_server: Any, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")

    async def story() -> None:
        server = start_server()
        with pytest.raises(LoadError) as raised:
            await server.push(tmp_path / "notes.txt")
        assert refusal(raised) is Code.FORMAT_UNKNOWN
        assert server.repository.digests() == ()
        with pytest.raises(RequestError) as unknown:
            server.catalogue.versions("m")
        assert refusal(unknown) is Code.MODEL_NOT_FOUND

    play(story)


def test_a_plan_changes_nothing(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        told = server.lives.told
        outcome = await server.push(make_adder(1), is_plan=True)
        assert outcome.is_plan
        assert outcome.plan.steps
        assert (server.store.models(), server.store.versions(), server.repository.digests()) == ((), (), ())
        assert server.lives.told == told

    play(story)


def test_a_push_may_promote_at_once(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        await server.push(make_adder(2), is_promoted=True)
        (record,) = server.store.models()
        assert (record.labels, record.stable_history, record.revision) == ({"stable": 2}, (1,), 2)

    play(story)


def test_a_push_without_an_artefact_or_under_no_name_is_refused(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        empty = Publication(artefact=None, file_name="m.onnx")
        with pytest.raises(RequestError, match="no artefact"):
            await server.catalogue.publish(Asked(model="m", by="x"), empty)
        with pytest.raises(RequestError, match="no name for a model"):
            await server.push(make_adder(1), model="../m")
        with pytest.raises(RequestError, match="no version"):
            await server.push(make_adder(1), version=-1)
        assert server.store.versions() == ()

    play(story)


def test_a_file_of_this_machine_is_copied(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1), is_copied=True)
        make_adder(1).unlink()
        assert start_server().wanted() == (1,)

    play(story)


def test_a_folder_of_this_machine_is_copied_with_its_model_toml(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        make_adder(1).with_name("model.toml").write_text('description = "adds"\n')
        server = start_server()
        await server.push(make_adder(1).parent, is_copied=True)
        assert server.catalogue.manifest_file(ModelVersion("m", 1)).manifest.description == "adds"

    play(story)


def test_several_models_are_no_version(start_server: Any, make_adder: Any, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "both.zip", "w") as packed:
        for number, name in ((1, "one"), (2, "two")):
            packed.write(make_adder(number), f"{name}/1/model.py")

    async def story() -> None:
        server = start_server()
        with pytest.raises(LoadError, match="holds 2 models") as raised:
            await server.push(tmp_path / "both.zip")
        assert refusal(raised) is Code.FORMAT_UNKNOWN
        assert server.repository.digests() == ()

    play(story)


def test_content_that_is_a_version_already_is_told(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        again = await server.push(make_adder(1))
        assert again.plan.warnings == ("this content is m/1 already, and no new version is made",)
        await server.push(make_adder(2))
        again = await server.push(make_adder(1))
        assert again.version == 1
        assert again.plan.warnings[0].endswith("; `salver promote m 1` lets it answer")
        assert (await server.push(make_adder(1), is_promoted=True)).plan.warnings == ()

    play(story)


def test_what_is_no_model_is_told_by_the_name_that_was_sent(start_server: Any, tmp_path: Path) -> None:
    async def story() -> None:
        server = start_server()
        staged = tmp_path / "x1"
        staged.write_text("nothing")
        with pytest.raises(LoadError) as raised:
            await server.push(staged, file_name="notes.txt")
        assert raised.value.message.startswith("notes.txt ")
        assert str(tmp_path) not in f"{raised.value.message} {raised.value.fix}"

    play(story)


def test_there_is_no_version_above_the_highest_number(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1), version=2**63 - 1)
        with pytest.raises(RequestError, match="no version above") as raised:
            await server.push(make_adder(2))
        assert raised.value.code is Code.CONFLICT

    play(story)


def test_one_bad_first_version_does_not_cost_another_that_comes_at_the_same_time(
    start_server: Any, make_adder: Any, tmp_path: Path
) -> None:
    async def story() -> None:
        server = start_server()
        bad = tmp_path / "notes.txt"
        bad.write_text("no model")
        first, second = await asyncio.gather(server.push(bad), server.push(make_adder(1)), return_exceptions=True)
        assert isinstance(first, LoadError)
        assert (second.version, server.wanted()) == (1, (1,))

    play(story)


def test_what_is_published_while_its_model_is_deleted_is_a_new_model(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1))
        _, made = await asyncio.gather(server.change(edits.delete(None)), server.push(make_adder(2)))
        assert (made.version, server.wanted()) == (1, (1,))
        with pytest.raises(RequestError) as raised:
            await asyncio.gather(server.change(edits.delete(None)), server.change(edits.unload))
        assert raised.value.code is Code.MODEL_NOT_FOUND
        await server.catalogue.finished()

    play(story)
