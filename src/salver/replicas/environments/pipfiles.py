"""Reads the settings that pip was given on this machine."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.pipsettings import pip_config_files, pip_settings, uv_variables


def installer_variables(settings: EnvironmentSettings, environment: Mapping[str, str]) -> dict[str, str]:
    """All that an installer is to see, from the server's settings, its environment and pip's files."""
    texts = []
    for path in pip_config_files(environment, os.path.expanduser("~"), sys.prefix):
        with contextlib.suppress(OSError, UnicodeDecodeError):
            texts.append(Path(path).read_text())
    return uv_variables(settings, environment, pip_settings(texts, environment))
