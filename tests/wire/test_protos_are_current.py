"""The modules of the .proto files are what `scripts/protos` makes of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_modules_are_those_of_the_proto_files() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/protos_modules.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.stdout, done.returncode) == ("", 0)
