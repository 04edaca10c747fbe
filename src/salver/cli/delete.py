"""`salver delete`: a version, or a model, for good."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("delete")
@click.argument("model")
@click.argument("version", type=int, required=False)
@click.option("--yes", "is_yes", is_flag=True, help="Do not ask.")
@change_options
def command(model: str, version: int | None, is_yes: bool, changing: Changing) -> None:
    """Delete VERSION of MODEL, or the whole model, with its artefacts. It cannot be undone.

    \b
    Examples:
      salver delete digits 1
      salver delete digits --yes
    """
    what = f"version {version} of {model}" if version is not None else f"the model {model} with all its versions"
    changing.ask(f"Delete {what} for good?", is_yes=is_yes)
    changing.run(lambda client: client.delete(model, version, how=changing.how))
