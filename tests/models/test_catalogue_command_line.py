"""Models of the command line go before those of the store, and their settings are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from catalogue_stage import play
from msgspec.structs import replace

from salver.models import edits
from salver.types import ModelVersion, PolicyKind, VersionPolicy


def test_the_command_line_goes_before_the_store(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server()
        await server.push(make_adder(1), model="adder")
        again = start_server(make_adder(7))
        (spec,) = again.lives.wanted["adder"].specs
        assert Path(spec.path) == make_adder(7)
        assert any("as the command line says" in note for note in again.opening.notes)
        assert start_server().wanted("adder") == (1,)

    play(story)


def test_settings_of_a_model_of_the_command_line_are_kept(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server(make_adder(1))
        await server.change(edits.scale(lambda scale: replace(scale, replicas=2)), model="adder")
        assert start_server(make_adder(1)).lives.wanted["adder"].specs[0].replicas == 2
        assert start_server().wanted("adder") == ()

    play(story)


def test_a_version_of_the_command_line_that_is_not_served_is_told(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server(make_adder(1))
        await server.push(make_adder(2), model="adder")
        assert server.wanted("adder") == (2,)
        again = start_server(make_adder(1))
        assert any("picks others of the versions 2, 1" in note for note in again.opening.notes)
        await again.change(edits.policy(VersionPolicy(kind=PolicyKind.ALL)), model="adder")
        assert again.wanted("adder") == (2, 1)
        await again.change(edits.unload, model="adder")
        assert any("salver load adder" in note for note in start_server(make_adder(1)).opening.notes)

    play(story)


def test_a_model_of_the_command_line_can_be_deleted_until_the_next_start(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        server = start_server(make_adder(1))
        await server.change(edits.delete(None), model="adder")
        assert server.wanted("adder") == ()
        assert make_adder(1).exists()
        assert start_server(make_adder(1)).wanted("adder") == (1,)

    play(story)


def test_the_model_toml_of_a_version_is_at_hand_for_messages(start_server: Any, make_adder: Any) -> None:
    async def story() -> None:
        make_adder(1).with_name("model.toml").write_text('description = "adds"\n')
        server = start_server(make_adder(1).parent)
        (name,) = server.lives.wanted
        assert server.catalogue.manifest_file(ModelVersion(name, 1)).manifest.description == "adds"
        assert server.catalogue.manifest_file(ModelVersion(name, 2)) is None
        assert server.catalogue.manifest_file(ModelVersion("none", 1)) is None

    play(story)
