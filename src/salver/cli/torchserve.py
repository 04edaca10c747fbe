"""`salver torchserve`."""

from __future__ import annotations

from salver.cli.modelservers import server_command

command = server_command("torchserve", "Serve as TorchServe does, with its flags and its config.properties.")
