"""`salver label`: names for versions."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("label")
@click.argument("model")
@click.argument("label")
@click.argument("version", type=int, required=False)
@click.option("--delete", "is_delete", is_flag=True, help="Take the label away.")
@change_options
def command(model: str, label: str, version: int | None, is_delete: bool, changing: Changing) -> None:
    """Let LABEL name VERSION of MODEL: requests may ask for the label. A version with a label is loaded.

    \b
    Examples:
      salver label digits canary 3
      salver label digits canary --delete
    """
    if (version is None) is not is_delete:
        raise click.UsageError("Give a version, or --delete to take the label away.")
    changing.run(lambda client: client.label(model, label, version, how=changing.how))
