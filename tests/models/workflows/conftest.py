"""Workflows and what they are made of, without a server."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent))  # the module beside this file is imported by name
