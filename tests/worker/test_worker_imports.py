"""What the worker package may depend on, and the oldest Python that it must run on."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "salver_worker"
FILES = sorted(PACKAGE.rglob("*.py"))
OLDEST = (3, 8)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_every_file_is_valid_in_the_oldest_python(path: Path) -> None:
    ast.parse(path.read_text(), feature_version=OLDEST)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_file_imports_the_server_and_the_top_of_each_is_light(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        assert not any(name == "salver" or name.startswith("salver.") for name in names)


def test_starting_a_worker_imports_numpy_and_nothing_else_that_is_installed() -> None:
    source = """
import sys
before = set(sys.modules)
import salver_worker.main
new = {name: str(getattr(sys.modules[name], "__file__", "")) for name in set(sys.modules) - before}
print(sorted({name.partition(".")[0] for name, path in new.items() if "site-packages" in path}))
"""
    output = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "['numpy']"


def test_the_rows_of_the_runtimes_import_nothing() -> None:
    source = "import sys; import salver_worker.runtimes.specs; print('numpy' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "False"
