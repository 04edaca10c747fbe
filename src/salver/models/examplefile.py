"""An example that is kept in a file of its own, beside model.toml."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from msgspec.structs import replace

from salver.errors import Code, LoadError
from salver.models.manifest import ExampleSection, Manifest
from salver.models.manifestrules import example_inputs_problems
from salver.models.manifestwords import Problem, problem_of

MAX_BYTES = 8 * 1024 * 1024


def with_example(manifest: Manifest, folder: Path) -> Manifest:
    """The manifest with what its `example.file` says. Raises LoadError(MANIFEST_INVALID) that names the file."""
    if manifest.example is None or manifest.example.file is None:
        return manifest
    return replace(manifest, example=_read(folder, manifest.example.file))


def _read(folder: Path, name: str) -> ExampleSection:
    path = folder / name
    try:
        if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
            raise _invalid(path, "it lies outside the model's folder", "Copy it there.")
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(path, error.strerror or "it cannot be read", "Correct `example.file` in model.toml.") from error
    if len(raw) > MAX_BYTES:
        raise _invalid(path, f"it is larger than {MAX_BYTES} bytes", 'Keep large inputs as { "file": "name" }.')
    return parse_example(raw, path)


def parse_example(raw: bytes, path: Path | str) -> ExampleSection:
    """The example that a JSON document is; `path` is what errors call it. Raises LoadError(MANIFEST_INVALID)."""
    try:
        example = msgspec.json.decode(raw, type=ExampleSection)
    except msgspec.ValidationError as error:
        problem = problem_of(error, around=("example",))
        raise _invalid(path, problem.text, problem.fix) from error
    except (msgspec.DecodeError, RecursionError) as error:
        raise _invalid(path, f"it is not valid JSON: {error}", "Correct the file.") from error
    for problem in _problems(example):
        raise _invalid(path, problem.text, problem.fix)
    return example


def _problems(example: ExampleSection) -> list[Problem]:
    if example.file is not None:
        return [Problem(("example", "file"), "an example's file names no further one", "Write the inputs themselves.")]
    return list(example_inputs_problems(example))


def _invalid(path: Path | str, reason: str, fix: str | None) -> LoadError:
    return LoadError(Code.MANIFEST_INVALID, f"The example in {path} cannot be used: {reason}.", fix=fix)
