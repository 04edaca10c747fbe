"""`salver policy`: which versions are loaded."""

from __future__ import annotations

import click

from salver.cli.changing import Changing, change_options


@click.command("policy")
@click.argument("model")
@click.argument("policy", type=click.Choice(["latest", "specific", "all"]))
@click.argument("versions", nargs=-1, type=int)
@click.option("--count", type=int, default=1, show_default=True, help="With `latest`: how many versions.")
@click.option(
    "--preserve",
    type=click.Choice(["availability", "resources"]),
    default="availability",
    show_default=True,
    help="What a switch keeps: answers (the new version is ready first) or memory (the old one stops first).",
)
@change_options
def command(model: str, policy: str, versions: tuple[int, ...], count: int, preserve: str, changing: Changing) -> None:
    """Set which versions of MODEL are loaded. Those with a label or in the route are, whatever the policy.

    \b
    Examples:
      salver policy digits latest --count 2
      salver policy digits specific 3 5
    """
    if versions and policy != "specific":
        raise click.UsageError("Versions are for the policy `specific`.")
    changing.run(
        lambda client: client.policy(model, policy, count=count, versions=versions, preserve=preserve, how=changing.how)
    )
