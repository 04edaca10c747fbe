"""Models whose own program answers: what model.toml may say of it, and how it is found."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import LoadError
from salver.models.discovery import discover
from salver.models.manifestfile import parse_manifest
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec
from salver.types import BatchSettings

MakeFile = Callable[..., Path]


def found(path: Path) -> ModelSource:
    (model,) = discover([str(path)], path / "artifacts").models
    return model


def command(model: ModelSource) -> tuple[str, ...]:
    return replica_spec(model, threads=1, batching=BatchSettings()).command


def program(make_file: MakeFile, name: str) -> Path:
    path = make_file(name, "#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_program_of_the_folder_is_the_model(make_file: MakeFile) -> None:
    path = program(make_file, "m/bin/serve")
    make_file("m/model.toml", 'command = ["bin/serve", "--x"]')
    model = found(path.parent.parent)
    assert (model.name, model.recognition.runtime, model.recognition.trust) == ("m", "executable", "code")
    assert model.recognition.artifact == path.parent.parent
    assert model.recognition.label == "program serve"
    assert command(model) == (str(path), "--x")


def test_the_artefact_is_what_it_opens(make_file: MakeFile) -> None:
    path = program(make_file, "m/serve")
    make_file("m/model.toml", 'command = ["./serve"]\nartifact = "weights"\nruntime = "executable"')
    weights = make_file("m/weights")
    model = found(path.parent)
    assert model.recognition.artifact == weights
    assert command(model) == (str(path),)


def test_versions_may_share_the_program_of_their_model(make_file: MakeFile) -> None:
    path = program(make_file, "m/serve")
    make_file("m/model.toml", 'command = ["./serve"]\nartifact = "weights"')
    make_file("m/2/weights")
    model = found(path.parent)
    assert model.version == 2
    assert command(model) == (str(path),)


def test_a_command_is_looked_for_when_it_is_started(make_file: MakeFile) -> None:
    path = make_file("m/model.toml", 'command = ["java", "-jar", "model.jar"]')
    assert command(found(path.parent)) == ("java", "-jar", "model.jar")


def test_a_program_that_is_there_or_may_not_be_run_is_told(make_file: MakeFile) -> None:
    path = make_file("m/model.toml", 'name = "m"\ncommand = ["./serve"]')
    with pytest.raises(LoadError, match=r"line 2: `command`: there is no \./serve in .*m"):
        found(path.parent)
    make_file("m/serve")
    with pytest.raises(LoadError, match=r"`command`: .*serve may not be run") as caught:
        found(path.parent)
    assert caught.value.fix.startswith("Run `chmod +x ")


def test_a_program_is_no_model_by_itself(make_file: MakeFile) -> None:
    with pytest.raises(LoadError, match="is in no known format"):
        found(program(make_file, "serve"))


def test_packages_are_for_a_program_of_python_alone(make_file: MakeFile) -> None:
    make_file("m/requirements.txt", "six\n")
    path = make_file("m/model.toml", 'command = ["java"]')
    assert found(path.parent).wish is None
    path.write_text('command = ["python", "serve.py"]')
    wish = found(path.parent).wish
    assert wish is not None
    assert wish.request.requirements == ("numpy", "six")
    assert command(found(path.parent)) == ("python", "serve.py")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('runtime = "executable"', "`executable` needs a `command`"),
        ('runtime = "onnx"\ncommand = ["x"]', "the runtime here is `onnx`"),
        ('command = ["../x"]', "must name a file of the model's folder"),
        ('command = [""]', "must name a file of the model's folder"),
        ('command = ["x", "a\\u0000b"]', "cannot hold a zero byte"),
        ('command = "x"', "expected an array"),
    ],
)
def test_what_is_wrong_with_a_command_is_told(text: str, message: str) -> None:
    with pytest.raises(LoadError, match=message):
        parse_manifest(text, "model.toml")


def test_a_program_elsewhere_is_named_by_its_path(make_file: MakeFile) -> None:
    path = make_file("m/model.toml", f'command = ["{sys.executable}", "serve.py"]')
    assert command(found(path.parent)) == (sys.executable, "serve.py")


def test_no_command_is_the_worker_of_its_runtime(make_file: MakeFile, onnx_model: Any) -> None:
    assert command(found(make_file("m.onnx", onnx_model))) == ()
