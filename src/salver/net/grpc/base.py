"""What the gRPC edge asks of a wire."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from salver.errors import SalverError
from salver.operations.base import Answer
from salver.operations.methods import Method


class Service(Protocol):
    """A protocol's methods."""

    name: str

    @property
    def methods(self) -> Sequence[Method]: ...
    def error(self, error: SalverError) -> Answer: ...
