"""`salver scale`: how many replicas, and whether a model may sleep."""

from __future__ import annotations

from typing import Any

import click

from salver.cli.changing import Changing, change_options


@click.command("scale")
@click.argument("model")
@click.argument("replicas", type=int, required=False)
@click.option("--min", "min_replicas", type=int, help="The fewest replicas of each version.")
@click.option("--max", "max_replicas", type=int, help="The most replicas of each version.")
@click.option("--on-demand/--always", default=None, help="Load it at the first request, or keep it loaded.")
@click.option("--idle-unload-s", type=float, help="On demand: unload it when nobody asked for so long.")
@click.option("--pinned/--unpinned", default=None, help="Keep it loaded whatever others need.")
@change_options
def command(
    model: str,
    replicas: int | None,
    min_replicas: int | None,
    max_replicas: int | None,
    on_demand: bool | None,
    idle_unload_s: float | None,
    pinned: bool | None,
    changing: Changing,
) -> None:
    """Set how many REPLICAS each version of MODEL has. What is not given stays as it is.

    \b
    Examples:
      salver scale digits 4
      salver scale digits --on-demand --idle-unload-s 600
    """
    given: dict[str, Any] = {
        "replicas": replicas,
        "min_replicas": min_replicas,
        "max_replicas": max_replicas,
        "on_demand": on_demand,
        "idle_unload_s": idle_unload_s,
        "pinned": pinned,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if not fields:
        raise click.UsageError("Give a number of replicas, or one of the options.")
    changing.run(lambda client: client.scale(model, **fields, how=changing.how))
