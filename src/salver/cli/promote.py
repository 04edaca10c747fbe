"""`salver promote`: which version answers requests that name none."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("promote")
@click.argument("model")
@click.argument("version", type=int)
@change_options
def command(model: str, version: int, changing: Changing) -> None:
    """Let VERSION of MODEL answer requests that name none, and end a route.

    It becomes the label `stable`; `salver rollback` goes back to the one before.

    \b
    Examples:
      salver promote digits 2 --plan
      salver promote digits 2
    """
    changing.run(lambda client: client.promote(model, version, how=changing.how))
