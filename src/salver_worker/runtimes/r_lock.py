"""What renv.lock says, and whether R has it. Nothing is installed here."""

from __future__ import annotations

import json
import os
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence

from salver_worker.failures import LoadFailure

FILE = "renv.lock"
TOOL = "renv"
"""The package that wrote the lock; a model does not need it."""
MOST_NAMED = 8


class RLock(NamedTuple):
    """The version of R with which a lock was made, and the versions of packages by name."""

    version: str
    packages: Dict[str, str]


def find_lock(folders: Sequence[str]) -> Optional[RLock]:
    """The lock of the first folder that has one. Raises LoadFailure when it is none."""
    path = next((found for found in (os.path.join(each, FILE) for each in folders) if os.path.isfile(found)), None)
    if path is None:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        packages = {name: str(row["Version"]) for name, row in document["Packages"].items() if name != TOOL}
        return RLock(str(document["R"]["Version"]), packages)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LoadFailure(
            "%s is no lock of renv" % path, code="ENVIRONMENT_BROKEN", fix="Write it with renv::snapshot()."
        ) from error


def check(lock: RLock, installed: Mapping[str, str]) -> None:
    """Raises LoadFailure that says what R lacks; `installed` has an empty version for what is not there."""
    wrong = {name: version for name, version in lock.packages.items() if _plain(installed[name]) != _plain(version)}
    if not wrong:
        return
    wanted = ["%s %s" % (name, version) for name, version in sorted(wrong.items())]
    found = ["%s %s" % (name, installed[name]) if installed[name] else "no %s" % name for name in sorted(wrong)]
    absent = sorted(name for name in wrong if not installed[name])
    raise LoadFailure(
        "%s wants %s, and R has %s" % (FILE, _listed(wanted), _listed(found)),
        code="ENVIRONMENT_BROKEN",
        fix="Name a repository to install them from with `r_repositories`; or run "
        'renv::restore(library = "FOLDER") and name that folder with `r_libraries`%s; or make the lock of what is here '
        "with renv::snapshot()." % _by_debian(absent),
    )


def is_of_series(version: str, other: str) -> bool:
    """Whether both are of one series, as 4.2.1 and 4.2.2: packages are built for one."""
    return version.split(".")[:2] == other.split(".")[:2]


def _by_debian(absent: Sequence[str]) -> str:
    names: List[str] = ["r-cran-" + name.lower() for name in absent[:MOST_NAMED]]
    return ", or `apt install %s` where Debian's versions are the right ones" % " ".join(names) if names else ""


def _plain(version: str) -> str:
    """4.7-1.1 and 4.7.1.1 are the same."""
    return version.replace("-", ".")


def _listed(words: Sequence[str]) -> str:
    more = len(words) - MOST_NAMED
    return ", ".join(words[:MOST_NAMED]) + (" and %d more" % more if more > 0 else "")
