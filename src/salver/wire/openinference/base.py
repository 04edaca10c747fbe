"""The settings of this protocol."""

from __future__ import annotations

import msgspec


class OpenInferenceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the server calls itself to clients of the Open Inference protocol."""

    v2_server_name: str = "salver"
    """Name in the server's metadata, for clients that ask what they speak to."""
    v2_server_version: str = ""
    """Version in the server's metadata; empty tells Salver's own."""
