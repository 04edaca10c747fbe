"""What model.toml may say, as frozen values. ``docs/manifest.md`` is its reference for people.

A key that is None was not set: the server's settings, or the runtime, have the default.
"""

from __future__ import annotations

from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec

from salver.types import BatchSettings

FILE_NAME = "model.toml"

T = TypeVar("T")

Step: TypeAlias = str | dict[str, Any]
"""One conversion: its name, or a table with one key, which is its name, and its parameters."""

_AtLeastOne: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
_Positive: TypeAlias = Annotated[float, msgspec.Meta(gt=0)]
_NotNegative: TypeAlias = Annotated[float, msgspec.Meta(ge=0)]


class EnvironmentSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[environment]`: in what the model's process runs."""

    python: str | None = None
    """A version or a range of them, an interpreter's absolute path, or a command's name; None: the server's own."""
    requirements: str | tuple[str, ...] | None = None
    """A file of the model's folder, or the requirements themselves; None: as the files beside the model say."""
    lock: str | None = None
    """A file of the model's folder with exact versions and hashes: nothing is resolved then."""
    r_libraries: tuple[str, ...] = ()
    """Folders of R packages, found before those of the settings."""
    threads: _AtLeastOne | None = None
    variables: dict[str, str] = {}


class BatchingSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[batching]`: how requests are put together. Times are milliseconds."""

    max_batch_rows: _AtLeastOne | None = None
    max_batch_delay_ms: _NotNegative | None = None
    latency_objective_ms: _Positive | None = None
    max_queue_rows: _AtLeastOne | None = None

    def over(self, defaults: BatchSettings) -> BatchSettings:
        """`defaults` with what this section sets."""
        return BatchSettings(
            max_batch_rows=_first(self.max_batch_rows, defaults.max_batch_rows),
            max_batch_delay_s=_first(_seconds(self.max_batch_delay_ms), defaults.max_batch_delay_s),
            latency_objective_s=_first(_seconds(self.latency_objective_ms), defaults.latency_objective_s),
            max_queue_rows=_first(self.max_queue_rows, defaults.max_queue_rows),
        )


class InputSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[inputs]]`: what callers send as `name`, and the steps that make of it what the model takes as `feeds`."""

    name: str
    feeds: str | None = None
    convert: tuple[Step, ...] = ()


class OutputSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[outputs]]`: what the model gives as `reads`, and the steps that make of it what callers get."""

    reads: str | None = None
    name: str | None = None
    convert: tuple[Step, ...] = ()


class ExampleSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[example]`: a request that is made when the model is loaded, and the answer without which it does not go live.

    An input is nested values, or a table with the one key `file`.
    """

    file: str | None = None
    """A JSON file of the model's folder that has the other keys; it is read with model.toml."""
    inputs: dict[str, Any] = {}
    expect: dict[str, Any] | None = None
    tolerance: _NotNegative = 0.01

    def for_worker(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "expect": self.expect, "tolerance": self.tolerance}


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of model.toml. An empty one is what a model without the file has."""

    name: str | None = None
    runtime: str | dict[str, Any] | None = None
    """Its name; or a table: `name`, and what the runtime itself is told."""
    description: str = ""
    artifact: str | None = None
    command: tuple[str, ...] = ()
    """The program that answers instead of a runtime of ours, and its arguments; empty: there is none."""
    handler: str | None = None
    replicas: _AtLeastOne | None = None
    """None: 1."""
    deadline_s: _Positive | None = None
    idempotent: bool | None = None
    environment: EnvironmentSection = EnvironmentSection()
    batching: BatchingSection = BatchingSection()
    inputs: tuple[InputSection, ...] = ()
    outputs: tuple[OutputSection, ...] = ()
    example: ExampleSection | None = None

    @property
    def runtime_name(self) -> str | None:
        """None: as recognised."""
        name = self.runtime.get("name") if isinstance(self.runtime, dict) else self.runtime
        return None if name is None else str(name)

    @property
    def runtime_options(self) -> dict[str, Any]:
        options = self.runtime if isinstance(self.runtime, dict) else {}
        return {key: value for key, value in options.items() if key != "name"}

    def for_worker(self) -> dict[str, Any]:
        """The part of the LOAD frame that the worker binds to the model: plain JSON values, every key present."""
        return {
            "inputs": [_row(section) for section in self.inputs],
            "outputs": [_row(section) for section in self.outputs],
            "example": None if self.example is None else self.example.for_worker(),
            "handler": self.handler,
            "runtime": self.runtime_options,
        }


def _row(section: InputSection | OutputSection) -> dict[str, Any]:
    return {**msgspec.structs.asdict(section), "convert": list(section.convert)}


def _first(value: T | None, default: T) -> T:
    return default if value is None else value


def _seconds(milliseconds: float | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000
