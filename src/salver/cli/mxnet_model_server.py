"""`salver mxnet-model-server`."""

from __future__ import annotations

from salver.cli.modelservers import server_command

command = server_command(
    "mxnet-model-server", "Serve as MXNet Model Server does, with its flags and its config.properties."
)
