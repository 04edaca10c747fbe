"""`salver rollback`: back to the version that answered before the last promotion."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("rollback")
@click.argument("model")
@change_options
def command(model: str, changing: Changing) -> None:
    """Let the version of MODEL answer that did so before the last promotion.

    \b
    Examples:
      salver rollback digits
    """
    changing.run(lambda client: client.rollback(model, how=changing.how))
