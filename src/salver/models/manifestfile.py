"""Reads a model.toml and says where it is wrong."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from salver.errors import Code, LoadError
from salver.models.examplefile import with_example
from salver.models.manifest import Manifest
from salver.models.manifestrules import first_problem, first_raw_problem
from salver.models.manifestwords import Problem, in_words, problem_of
from salver.models.tomllines import line_of

MAX_BYTES = 1024 * 1024


class ManifestFile(msgspec.Struct, frozen=True, kw_only=True):
    """One model.toml that was read: where it lies, its text, what it says."""

    path: str
    text: str
    manifest: Manifest

    def place(self, where: Sequence[str | int]) -> str:
        """Where the key is, for a message."""
        return f"{self.path}, {describe_worker_error(where, self.text)}"

    def error(self, where: Sequence[str | int], text: str, fix: str | None = None) -> LoadError:
        """What is wrong with the key at `where`, with the file and the line."""
        return _error(Problem(tuple(where), text, fix), self.text, self.path)


def read_manifest(path: Path) -> ManifestFile:
    """Raises LoadError(MANIFEST_INVALID); the message names file, line, key and what was expected."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise _invalid(f"{path} cannot be read: {error.strerror}", "Make the file readable for the server.") from error
    if len(raw) > MAX_BYTES:
        raise _invalid(f"{path} is larger than {MAX_BYTES} bytes", "Put big values into files of their own.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _invalid(f"{path}, line {line}: this is not UTF-8 text", "Save the file as UTF-8.") from error
    return ManifestFile(path=str(path), text=text, manifest=with_example(parse_manifest(text, str(path)), path.parent))


def parse_manifest(text: str, file: str) -> Manifest:
    """The manifest that `text` is; `file` is what errors call it. Raises LoadError(MANIFEST_INVALID)."""
    try:
        document = tomllib.loads(text)
    except ValueError as error:  # TOMLDecodeError, or a number with too many digits
        raise _invalid(f"{file}, {_syntax_error(str(error), text)}") from error
    except RecursionError as error:
        raise _invalid(f"{file}: values are nested too deep") from error
    _refuse(first_raw_problem(document), text, file)
    try:
        manifest = msgspec.convert(document, Manifest)
    except msgspec.ValidationError as error:
        raise _error(problem_of(error), text, file) from error
    _refuse(first_problem(manifest), text, file)
    return manifest


def describe_worker_error(where: Sequence[str | int], text: str) -> str:
    """Where in a model.toml of this text the key path `where` is: its line and the path in words."""
    return f"line {line_of(text, where)}, {in_words(where)}"


def _syntax_error(message: str, text: str) -> str:
    """tomllib puts the place last: `Invalid value (at line 3, column 5)`, or `(at end of document)`."""
    complaint, _, place = message.partition(" (at ")
    line = place.removeprefix("line ").partition(",")[0]
    if not line.isdigit():
        line = str(text.rstrip().count("\n") + 1)
    if complaint == "Cannot overwrite a value":
        complaint = "This key already has a value"
    return f"line {line}: this is not valid TOML: {complaint[:1].lower()}{complaint[1:]}"


def _refuse(problem: Problem | None, text: str, file: str) -> None:
    if problem is not None:
        raise _error(problem, text, file)


def _error(problem: Problem, text: str, file: str) -> LoadError:
    return _invalid(f"{file}, line {line_of(text, problem.path)}: {problem.text}", problem.fix)


def _invalid(message: str, fix: str | None = None) -> LoadError:
    return LoadError(Code.MANIFEST_INVALID, message, fix=fix)
