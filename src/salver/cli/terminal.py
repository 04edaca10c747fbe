"""What every command writes with: plain text when it goes to a file or a pipe, or when NO_COLOR is set."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

PIPE_WIDTH = 10_000
"""Columns of an output that is no terminal: a program reads it, so no line may be broken."""


def console(stream: Any = None) -> Console:
    """A writer to standard output, or to `stream`, that takes all text literally."""
    from rich.console import Console

    stream = stream or sys.stdout
    return Console(
        file=stream,
        markup=False,
        emoji=False,
        highlight=False,
        soft_wrap=True,
        width=None if stream.isatty() else PIPE_WIDTH,
    )


def show_error(message: str, fix: str) -> None:
    """An error as two lines on standard error."""
    _show("error", message, "red")
    if fix:
        _show("  fix", fix, "green")


def show_warning(message: str) -> None:
    _show("warning", message, "yellow")


def show_json(value: Any) -> None:
    """A value of our own types as indented JSON on standard output."""
    import msgspec

    click.echo(msgspec.json.format(msgspec.json.encode(value)))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Rows under a header line, without borders, so that they can be cut with the usual tools."""
    from rich.table import Table

    table = Table(*columns, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for row in rows:
        table.add_row(*row)
    console().print(table)


def _show(word: str, text: str, colour: str) -> None:
    is_plain = "NO_COLOR" in os.environ or not sys.stderr.isatty()
    click.echo(f"{word if is_plain else click.style(word, fg=colour, bold=True)}: {text}", err=True)
