"""A worker's reason for not loading, in the terms of who wrote model.toml."""

from __future__ import annotations

from salver.errors import Code
from salver.models.explanation import explained
from salver.models.manifestfile import ManifestFile, parse_manifest
from salver.replicas.base import Failure

TEXT = """
[[inputs]]
name = "x"
convert = ["paint_it_black"]
"""
FILE = ManifestFile(path="/models/m/model.toml", text=TEXT, manifest=parse_manifest(TEXT, "model.toml"))


def failure(*where: str | int) -> Failure:
    return Failure(code="MANIFEST_INVALID", message="there is no such step", fix="Take another.", where=list(where))


def test_a_key_path_becomes_a_line() -> None:
    told = explained(failure("inputs", 0, "convert", 0), FILE)
    assert told.message.startswith("/models/m/model.toml, line 4, ")
    assert told.message.endswith(": there is no such step")
    assert (told.code, told.fix) == ("MANIFEST_INVALID", "Take another.")


def test_what_is_about_no_place_stays_as_it_is() -> None:
    plain = Failure(code="LOAD_FAILED", message="There are no weights.", fix="Add some.")
    assert explained(plain, FILE) is plain


def test_a_reason_without_a_fix_gets_the_general_one() -> None:
    assert explained(Failure(code="EXAMPLE_MISMATCH", message="No."), FILE).fix == Code.EXAMPLE_MISMATCH.fix
    assert explained(Failure(code="SOMETHING_NEW", message="No."), None).fix == Code.LOAD_FAILED.fix


def test_without_a_manifest_there_is_no_line() -> None:
    told = failure("inputs", 0)
    assert explained(told, None) is told
