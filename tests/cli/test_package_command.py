"""`salver package` in the shell; what a package becomes is in tests/packaging, that it is proved in the journeys."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from salver.cli.push import identity_of


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text("def predict(x):\n    return x\n\n\ndef other(x):\n    return x\n")
    return tmp_path / "app.py"


@pytest.fixture
def package(app: Path, run, tmp_path: Path) -> Path:
    ran = run("package", "app.py", "--no-lock", "--no-check", "--name", "spam", "--description", "d", "--json")
    assert ran.code == 0, ran.err
    return tmp_path / str(json.loads(ran.out)["path"])


def test_a_path_is_packed_without_naming_the_subcommand(app: Path, run) -> None:
    short = run("package", "app.py", "--no-lock", "--no-check", "-o", "a.salver")
    long = run("package", "make", "app.py", "--no-lock", "--no-check", "--output", "b.salver")
    assert (short.code, long.code) == (0, 0)
    assert Path("a.salver").read_bytes() == Path("b.salver").read_bytes()
    assert short.out.splitlines()[0] == "a.salver"
    assert short.out.splitlines()[2].endswith(", not locked")
    assert "warning: it is not locked" in short.err
    assert "warning: it has no example" in short.err


def test_it_is_shown_when_it_is_whole(package: Path, run) -> None:
    shown = run("package", "show", package.name)
    assert shown.code == 0, shown.err
    lines = shown.out.splitlines()
    assert lines[0] == "spam: function"
    assert lines[1].removeprefix("  sha256:").startswith(package.name.partition("@")[2].removesuffix(".salver"))
    assert {"  app.py", "  model.toml", "  salver.json"} <= set(lines)
    assert json.loads(run("package", "show", package.name, "--json").out)["record"]["name"] == "spam"


def test_what_was_changed_or_renamed_is_told_with_what_to_do(package: Path, run) -> None:
    Path("bad.salver").write_bytes(package.read_bytes().replace(b"return x", b"return y"))
    ran = run("package", "show", "bad.salver")
    assert (ran.code, ran.out) == (1, "")
    assert "bad.salver is a damaged zip" in ran.err
    assert "fix: Copy it again" in ran.err
    package.rename("spam@0123456789abcdef.salver")
    assert (
        "is named for the content sha256:0123456789abcdef" in run("package", "show", "spam@0123456789abcdef.salver").err
    )


def test_a_plan_packs_nothing(app: Path, run, tmp_path: Path) -> None:
    ran = run("package", "app.py", "--function", "other", "--plan")
    assert ran.out.splitlines() == [
        "app: Python function other",
        "  holds app.py",
        "  needs numpy, locked",
        "  runs on Python of this command",
    ]
    assert json.loads(run("package", "app.py", "--plan", "--json").out)["files"] == ["app.py"]
    assert [path.name for path in tmp_path.iterdir()] == ["app.py"]


def test_a_package_names_its_model_when_it_is_pushed(package: Path) -> None:
    assert identity_of(package) == ("spam", None)


def test_errors_are_two_lines(app: Path, run) -> None:
    ran = run("package", "nothing.onnx")
    assert ran.err.splitlines()[0] == "error: there is no file or folder nothing.onnx"
    assert ran.err.splitlines()[1].startswith("  fix: ")
    assert run("package", "app.py", "--name", "a b").err.startswith("error: 'a b' is no name for a model")


def test_help_shows_both_ways(run) -> None:
    assert "salver package show" in run("package", "--help").out
    assert "--example" in run("package", "make", "--help").out
