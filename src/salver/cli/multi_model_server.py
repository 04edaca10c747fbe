"""`salver multi-model-server`."""

from __future__ import annotations

from salver.cli.modelservers import server_command

command = server_command(
    "multi-model-server", "Serve as Multi Model Server does, with its flags and its config.properties."
)
