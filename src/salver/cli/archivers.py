"""What the three archivers have in common: the originals' checks, their messages and their exit codes."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from salver.models.packing import Package, write_archive

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_\-.]*")


class ArchiverFailed(Exception):
    """Nothing was written; the text is what the original says, and the exit code 1."""


def archiver_command(
    name: str, summary: str, parser: Callable[[], argparse.ArgumentParser], pack: Callable[[argparse.Namespace], None]
) -> click.Command:
    """A command whose flags are the original's own."""

    @click.command(name, help=summary, add_help_option=False, context_settings={"ignore_unknown_options": True})
    @click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
    def command(arguments: tuple[str, ...]) -> int:
        try:
            given = parser().parse_args(list(arguments))
        except SystemExit as ended:  # after --help, or with the usage
            return int(ended.code or 0)
        try:
            pack(given)
        except ArchiverFailed as failed:
            log("ERROR", str(failed))
            return 1
        except OSError as error:
            where = error.filename if error.filename is not None else given.export_path
            log("ERROR", f"{where}: {error.strerror or error}")
            return 1
        return 0

    return command


def log(level: str, text: str) -> None:
    """As Python's logging writes it for the originals, on standard error."""
    sys.stderr.write(f"{level} - {text}\n")


def check_name(name: str, kind: str) -> None:
    if not _NAME.fullmatch(name):
        raise ArchiverFailed(
            f"{kind} name contains special characters.\n"
            f"The allowed regular expression filter for {kind.lower()} name is: ^[A-Za-z0-9][A-Za-z0-9_\\-.]*$"
        )


def check_export_path(path: str) -> Path:
    if not Path(path).is_dir():
        raise ArchiverFailed(f"Given export-path {path} is not a directory. Point to a valid export-path directory.")
    return Path(path)


def check_free(target: Path, kind: str, *, is_forced: bool) -> None:
    if target.exists() and not is_forced:
        raise ArchiverFailed(
            f"{target} already exists.\n"
            f"Please specify --force/-f option to overwrite the {kind} archive output file.\n"
            "See -h/--help for more details."
        )
    if target.exists():
        log("WARNING", f"Overwriting {target} ...")


def write(package: Package, target: Path, form: str) -> None:
    try:
        write_archive(package, target, form)
    except OSError:
        log(
            "ERROR",
            f'Failed to save the model-archive to model-path "{target.parent}". Check the file permissions and retry.',
        )
        raise


def manifest_text(document: dict[str, Any]) -> str:
    """Without the keys that have no value."""
    return json.dumps({key: value for key, value in document.items() if value is not None}, indent=2)


def created_on() -> str:
    return datetime.now().astimezone().strftime("%d/%m/%Y %H:%M:%S")


def base_name(path: str | None) -> str | None:
    return path.rpartition("/")[2] if path else None


def comma_separated(text: str | None) -> Sequence[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
