"""`salver route`: requests shared among versions by weight."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("route")
@click.argument("model")
@click.argument("weights", nargs=-1, metavar="[VERSION=WEIGHT]...")
@click.option("--sticky", default="", help="Keep a caller with one version: by `principal`, or by `header:NAME`.")
@click.option("--delete", "is_delete", is_flag=True, help="Take the route away: the default version answers again.")
@change_options
def command(model: str, weights: tuple[str, ...], sticky: str, is_delete: bool, changing: Changing) -> None:
    """Share requests that name no version of MODEL among versions by weight.

    \b
    Examples:
      salver route digits 1=90 2=10
      salver route digits 1=50 2=50 --sticky header:X-User
      salver route digits --delete
    """
    if bool(weights) is is_delete:
        raise click.UsageError("Give weights as VERSION=WEIGHT, or --delete to take the route away.")
    wanted = dict(map(weight_of, weights))
    changing.run(lambda client: client.route(model, wanted, sticky=sticky, how=changing.how))


def weight_of(text: str) -> tuple[int, int]:
    version, _, weight = text.partition("=")
    try:
        return int(version), int(weight)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not VERSION=WEIGHT, as 2=10 is.") from error
