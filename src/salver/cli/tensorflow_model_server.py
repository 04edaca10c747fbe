"""`salver tensorflow-model-server`: TensorFlow Serving's command line, served by this server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import click

from salver.cli.serve import chosen
from salver.cli.terminal import show_warning
from salver.cli.version import version_text

CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")
CONTAINER_VARIABLE = "KUBERNETES_SERVICE_HOST"


class OriginalCommand(click.Command):
    """A command whose flags are another program's: click leaves them alone, and the help lists them."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        from salver.cli.tensorflow_flags import FLAGS, Fate

        for fate in Fate:
            rows = [
                (f"--{flag.name}={flag.default or flag.kind.upper()}", flag.meaning)
                for flag in FLAGS
                if flag.fate is fate
            ]
            with formatter.section(f"Flags ({fate.value})"):
                formatter.write_dl(rows)


@click.command(
    "tensorflow-model-server",
    cls=OriginalCommand,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[--FLAG=VALUE]...")
@click.pass_context
def command(context: click.Context, arguments: tuple[str, ...]) -> int:
    """Serve as tensorflow_model_server does, with its flags and its container's MODEL_NAME and MODEL_BASE_PATH.

    Models of every runtime are served from folders of numbered versions. Each flag does what it did, is accepted with a
    note, or is refused with what to do instead. The settings of `salver serve` can be given too, such as --data-dir,
    or stand in salver.toml or in SALVER_ variables.

    \b
    Examples:
      salver tensorflow-model-server --rest_api_port=8501 --model_name=iris --model_base_path=/models/iris
      salver tensorflow-model-server --port=8500 --model_config_file=/models/models.config
    """
    from salver.cli.options import settings_file
    from salver.cli.tensorflow_start import read_line, start_of
    from salver.errors import LoadError, RequestError, StartupError
    from salver.models.configfile import read_file
    from salver.settings import resolve

    line = read_line(arguments)
    if line.is_on("version"):
        click.echo(f"TensorFlow ModelServer: Salver {version_text()}")
        return 0
    file = settings_file(context)
    before = resolve(file, os.environ, {})
    own = {name: value for name, value, _ in chosen(before)}
    try:
        start = start_of(line, os.environ, read_file, is_container=is_container(os.environ), chosen=own)
    except (LoadError, RequestError) as error:
        raise StartupError(error.code, error.message, fix=error.fix) from error
    resolved = resolve(file, os.environ, start.flags)
    for warning in resolved.warnings:
        show_warning(warning)
    from salver.app.server import serve
    from salver.cli.narration import Narrator
    from salver.cli.terminal import console
    from salver.events import Noted

    narrator = Narrator(console(), needs_key=resolved.settings.access.anonymous == "none")
    narrator.settings([f"{name} {value} ({where})" for name, value, where in chosen(resolved)])
    for note in start.notes:
        narrator(Noted(text=note))
    return serve(resolved.settings, (), on_event=narrator, configuration=start.given)


def is_container(environment: Mapping[str, str]) -> bool:
    """Whether this process runs where its own loopback is nobody else's."""
    return CONTAINER_VARIABLE in environment or any(Path(mark).exists() for mark in CONTAINER_MARKS)
