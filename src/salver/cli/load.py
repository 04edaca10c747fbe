"""`salver load`: what was unloaded, or has failed, is loaded again."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("load")
@click.argument("model")
@click.argument("version", type=int, required=False)
@change_options
def command(model: str, version: int | None, changing: Changing) -> None:
    """Load MODEL again after `salver unload`, and try again what has failed: VERSION, or every version.

    \b
    Examples:
      salver load digits
      salver load digits 3
    """
    changing.run(lambda client: client.load(model, version, how=changing.how), minds_all=version is None)
