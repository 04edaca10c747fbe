"""Whether the server's own interpreter and packages are what a model wants."""

from __future__ import annotations

import enum
import importlib.metadata
import platform

from packaging.requirements import Requirement

from salver.replicas.environments.base import EnvironmentRequest
from salver.replicas.environments.pythons import is_range, is_version
from salver.replicas.environments.requirements import Installed, first_unmet, is_in_range, stand_ins


class Fit(enum.Enum):
    """How far the server's own packages are what is wanted."""

    FITS = "fits"
    DIFFERENT = "different"
    """Something is there in another version, or it is another Python."""
    MISSING = "missing"
    """Something is not there at all."""


def fit_of(request: EnvironmentRequest) -> Fit:
    unmet = first_unmet(request.requirements, installed, {})
    if unmet is not None:
        return Fit.MISSING if installed(Requirement(unmet).name) is None else Fit.DIFFERENT
    if first_unmet([each for each in request.constraints if installed(Requirement(each).name)], installed, {}):
        return Fit.DIFFERENT
    return Fit.FITS if _is_own(request.python) else Fit.DIFFERENT


def installed(name: str) -> Installed | None:
    """A package of the server's interpreter by its name, or one that brings the same modules."""
    for each in (name, *stand_ins(name)):
        try:
            found = importlib.metadata.distribution(each)
        except importlib.metadata.PackageNotFoundError:
            continue
        return Installed(version=found.version, requires=tuple(found.requires or ()))
    return None


def _is_own(python: str) -> bool:
    own = platform.python_version()
    if is_version(python):
        return python.split(".")[:2] == own.split(".")[:2]
    return not python or (is_range(python) and is_in_range(own, python))
