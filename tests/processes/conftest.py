"""What tests of the server's processes share."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest


@pytest.fixture
def open_files() -> Callable[[], int]:
    """How many descriptors this process has."""
    return lambda: len(os.listdir("/proc/self/fd"))
