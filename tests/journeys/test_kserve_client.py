"""KServe's own clients, as they come from the package index, in an environment of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from journey_formats import write_line
from journey_server import serving

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
INSTALL_S = 300
CALLS = Path(__file__).with_name("kserve_calls.py")


@pytest.fixture(scope="session")
def kserve_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter with the package `kserve`."""
    folder = tmp_path_factory.mktemp("kserve") / "environment"
    python = str(folder / "bin" / "python")
    for arguments in (["venv", str(folder)], ["pip", "install", "--python", python, "kserve"]):
        done = subprocess.run(
            [sys.executable, "-m", "uv", *arguments], capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        if done.returncode:
            pytest.skip(f"NO KSERVE: its client cannot be installed\n{done.stderr[-500:]}")
    return python


@pytest.mark.timeout(2 * INSTALL_S)
def test_kserves_clients_work_unmodified(kserve_python: str, tmp_path: Path) -> None:
    write_line(tmp_path / "line" / "1" / "model.onnx", 3.0, 1.0)
    with serving(tmp_path / "line", folder=tmp_path, grpc_port=0) as server:
        address = next(url for url in server.urls if url.startswith("grpc://")).removeprefix("grpc://")
        done = subprocess.run(
            [kserve_python, str(CALLS), server.url, address], capture_output=True, text=True, timeout=60, check=False
        )
        assert not done.returncode, done.stderr[-4000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    answer = ["7", "line", [[4.0, 7.0, 10.0, 13.0]]]
    for told in found.values():
        assert "Request for unknown model: 'none' is not found" in told.pop("error")
        assert told == {"live": True, "ready": True, "model_ready": True, "typed": answer, "raw": answer}
    assert set(found) == {"rest", "grpc"}
