"""`salver versions`: every version of a model, loaded or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from salver.cli.connection import connected, server_options
from salver.cli.options import json_option
from salver.cli.terminal import show_json, show_table

if TYPE_CHECKING:
    from salver_client import StoredVersion

COLUMNS = ("VERSION", "STATE", "LABELS", "WEIGHT", "SIZE", "PUBLISHED", "BY", "SOURCE", "DIGEST", "REASON")
DIGEST_DIGITS = 12


@click.command("versions")
@click.argument("model")
@json_option
@server_options
@click.pass_context
def command(context: click.Context, model: str, as_json: bool, url: str | None, key: str | None) -> None:
    """List every version of MODEL, loaded or not, highest first.

    \b
    Examples:
      salver versions digits
    """
    with connected(context, url, key) as client:
        found = client.versions(model)
    if as_json:
        show_json(found)
    else:
        show_table(COLUMNS, map(_row, found.versions))


def _row(version: StoredVersion) -> tuple[str, ...]:
    return (
        f"{version.version}{' (default)' if version.is_default else ''}",
        version.state or "-",
        ",".join(version.labels),
        str(version.weight or ""),
        size_text(version.size_bytes) if version.digest else "",
        version.created_at.astimezone().strftime("%Y-%m-%d %H:%M") if version.created_at else "",
        version.created_by,
        version.source,
        version.digest[:DIGEST_DIGITS],
        version.failure.message if version.failure else version.reason,
    )


def size_text(size: float) -> str:
    """A number of bytes as people read it."""
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} GiB"
