"""The example that somebody gives on the command line: a JSON document, or a file that is an input itself."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from salver.models.examplefile import MAX_BYTES, parse_example
from salver.models.manifest import ExampleSection
from salver.packaging.base import PackagingFailed

FILE_NAME = "example.json"
FILES = "example"
"""The folder of the files that an example names."""
_KEYS = frozenset(ExampleSection.__struct_fields__) - {"file"}
_SHAPE = 'Give the inputs by name, as {"x": [[1.0, 2.0]]}, with rows outermost, or a file with that.'


class GivenExample(msgspec.Struct, frozen=True, kw_only=True):
    """An example as it was given. `bare` is the value of an input that was not named; `folder` is where files lie."""

    section: ExampleSection | None = None
    bare: Any = None
    folder: Path

    def named(self, inputs: tuple[str, ...]) -> ExampleSection:
        """The example of a model with these inputs. Raises PackagingFailed when it is not clear which one is meant."""
        if self.section is not None:
            return self.section
        if len(inputs) != 1:
            told = ", ".join(inputs) or "none that it tells"
            raise PackagingFailed(f"The example names no input, and the model has {told}.", fix=_SHAPE)
        return ExampleSection(inputs={inputs[0]: self.bare})


def read_example(text: str) -> GivenExample:
    """What `--example` says. Raises PackagingFailed, LoadError."""
    path = Path(text)
    if text.lstrip()[:1] in ("{", "["):
        return _given(_decoded(text.encode(), "--example"), text.encode(), Path.cwd(), "--example")
    if not path.is_file():
        raise PackagingFailed(f"There is no file {text} for the example.", fix=_SHAPE)
    if path.suffix != ".json":
        return GivenExample(bare={"file": path.name}, folder=path.parent)
    if path.stat().st_size > MAX_BYTES:
        raise PackagingFailed(f"{path} is larger than {MAX_BYTES} bytes.", fix="Give fewer rows.")
    raw = path.read_bytes()
    return _given(_decoded(raw, text), raw, path.parent, text)


def place_files(example: ExampleSection, source: Path, folder: Path) -> ExampleSection:
    """The example with the files that it names copied into a package's folder, unless they are in there already.

    Raises PackagingFailed.
    """
    return replace(example, inputs={name: _placed(value, source, folder) for name, value in example.inputs.items()})


def _given(value: Any, raw: bytes, folder: Path, origin: str) -> GivenExample:
    if not isinstance(value, dict):
        return GivenExample(bare=value, folder=folder)
    if "inputs" in value and set(value) <= _KEYS:
        return GivenExample(section=parse_example(raw, origin), folder=folder)
    if set(value) == {"file"}:
        return GivenExample(bare=value, folder=folder)
    return GivenExample(section=ExampleSection(inputs=value), folder=folder)


def _decoded(raw: bytes, origin: str) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PackagingFailed(f"The example in {origin} is not valid JSON: {error}.", fix=_SHAPE) from error


def _placed(value: Any, source: Path, folder: Path) -> Any:
    if isinstance(value, list):
        return [_placed(item, source, folder) for item in value]
    if not isinstance(value, dict) or not isinstance(value.get("file"), str):
        return value
    path = source / value["file"]
    if not path.is_file():
        if (folder / value["file"]).is_file():
            return value
        raise PackagingFailed(f"The example's file {path} is not there.", fix="Correct its name in the example.")
    (folder / FILES).mkdir(exist_ok=True)
    shutil.copyfile(path, folder / FILES / path.name)
    return {**value, "file": f"{FILES}/{path.name}"}
