"""A repository of R packages in a folder, as `r_repositories` names one, and packages of a few lines."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

needs_r = pytest.mark.skipif(shutil.which("Rscript") is None, reason="there is no R here")


class RRepository:
    """`tinybase` says its version; `tinytop` imports it, and says what it says."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.url = f"file://{folder}"
        self.packages = folder / "src" / "contrib"
        self.packages.mkdir(parents=True)

    def add(self, name: str, version: str, code: str = "", *, imports: str = "", is_old: bool = False) -> Path:
        """The newest of a package beside the index, an old one in the archive."""
        source = self._folder / "made" / name
        shutil.rmtree(source, ignore_errors=True)
        (source / "R").mkdir(parents=True)
        fields = {"Package": name, "Version": version, "Title": "T", "Description": "D.", "License": "GPL-3"}
        fields |= {"Author": "A", "Maintainer": "A <a@example.org>", **({"Imports": imports} if imports else {})}
        (source / "DESCRIPTION").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        (source / "NAMESPACE").write_text("export(said)\n")
        (source / "R" / "code.R").write_text(code or f'said <- function() "{version}"\n')
        target = self.packages / "Archive" / name if is_old else self.packages
        target.mkdir(parents=True, exist_ok=True)
        run("R", "CMD", "build", "--no-build-vignettes", "--no-manual", str(source), folder=target)
        run("Rscript", "--vanilla", "-e", "tools::write_PACKAGES('.', type = 'source')", folder=self.packages)
        return target / f"{name}_{version}.tar.gz"


def tiny_repository(folder: Path) -> RRepository:
    made = RRepository(folder)
    made.add("tinybase", "1.0", is_old=True)
    made.add("tinybase", "2.0")
    made.add("tinytop", "0.1", 'said <- function() paste("top of", tinybase::said())\n', imports="tinybase (>= 1.0)")
    return made


def renv_lock(version: str | None = None, source: str = "Repository", **packages: str) -> str:
    rows = {name: {"Package": name, "Version": each, "Source": source} for name, each in packages.items()}
    return json.dumps({"R": {"Version": version or r_version()}, "Packages": rows})


def r_version() -> str:
    return run("Rscript", "--vanilla", "-e", "cat(as.character(getRversion()))")


def run(*command: str, folder: Path | None = None) -> str:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True, timeout=300).stdout
