"""`salver unload`: out of memory, not forgotten."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("unload")
@click.argument("model")
@change_options
def command(model: str, changing: Changing) -> None:
    """Unload every version of MODEL. Versions, labels and settings stay; `salver load` brings it back.

    \b
    Examples:
      salver unload digits
    """
    changing.run(lambda client: client.unload(model, how=changing.how))
