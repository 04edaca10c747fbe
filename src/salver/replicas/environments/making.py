"""Puts together what builds each kind of environment."""

from __future__ import annotations

import os
from collections.abc import Mapping

from salver.replicas.environments.base import PYTHON, EnvironmentSettings, Kinds, R
from salver.replicas.environments.interpreters import Interpreters
from salver.replicas.environments.pipfiles import installer_variables
from salver.replicas.environments.pythonkind import PythonKind
from salver.replicas.environments.rkind import RKind
from salver.replicas.environments.shelf import Shelf
from salver.replicas.environments.uv import Uv


def kinds_of(settings: EnvironmentSettings, shelf: Shelf, environment: Mapping[str, str]) -> Kinds:
    """`environment` are the variables of the server; an installer sees few of them."""
    interpreters = Interpreters(settings.interpreters, environment.get("PATH", os.defpath))
    uv = Uv(settings, installer_variables(settings, environment), shelf.cache)
    return {PYTHON: PythonKind(interpreters, uv), R: RKind(settings, environment, shelf.sources)}
