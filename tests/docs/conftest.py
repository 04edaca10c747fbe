import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

sys.path.append(str(Path(__file__).parent))  # the modules beside this file are imported by name


@pytest.fixture(scope="session")
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def project_files() -> list[Path]:
    """Every file of the project that exists and that git does not ignore; without git, every file of its folders."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        folders = ["src", "tests", "docs", "examples", "scripts", ".ci"]
        paths = [path for folder in folders for path in (ROOT / folder).rglob("*") if "__pycache__" not in path.parts]
        return sorted(path for path in (*paths, *ROOT.glob("*.*")) if path.is_file())
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in sorted(set(names)) if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def pages(project_files) -> list[Path]:
    """Every Markdown page."""
    return [path for path in project_files if path.suffix == ".md"]
