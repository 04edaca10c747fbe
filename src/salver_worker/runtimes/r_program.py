"""Which R is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.r_lock import is_of_series

VARIABLE = "SALVER_RSCRIPT"
"""Names each Rscript that may be started, with `:` between them; else it is the one on the PATH."""
LOOK_S = 20


def program(version: str = "") -> str:
    """The first that is there and of this version's series, else the first that is there. Raises LoadFailure."""
    named = [name for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name] or ["Rscript"]
    found = [path for path in map(shutil.which, named) if path is not None]
    if not found:
        raise LoadFailure(
            "there is no %s to run the model with" % " or ".join(named),
            code="ENVIRONMENT_BROKEN",
            fix="Install R (Debian: `apt install r-base-core`), or name its Rscript with the setting `r_interpreters`.",
        )
    if not version or len(found) == 1:
        return found[0]
    return next((path for path in found if is_of_series(version_of(path), version)), found[0])


def version_of(path: str) -> str:
    """As `4.2.2`; nothing where it does not say."""
    try:
        told = subprocess.run(  # noqa: S603  one that the operator named
            [path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=LOOK_S, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(rb"version (\d+\.\d+\.\d+)", told)
    return found.group(1).decode() if found else ""
