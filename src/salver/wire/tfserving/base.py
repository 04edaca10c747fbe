"""The settings of this protocol."""

from __future__ import annotations

import msgspec


class TfServingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How TensorFlow Serving's clients and dashboards are answered."""

    tfs_cors: bool = False
    """Let web pages of any origin read the answers of TensorFlow Serving's addresses."""
    tfs_monitoring_path: str = ""
    """Address of metrics under TensorFlow Serving's names, at its port; empty: none."""
