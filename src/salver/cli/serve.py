"""`salver serve`: hands the paths and the settings to the composition root and prints what it tells."""

from __future__ import annotations

from collections.abc import Iterator

import click

from salver.cli.options import SettingsCommand, resolution, setting_options
from salver.settings import Resolution, Source, catalogue
from salver.settings.values import as_text, without_password


@click.command("serve", cls=SettingsCommand)
@click.argument("paths", nargs=-1)
@setting_options()
@click.pass_context
def command(context: click.Context, paths: tuple[str, ...]) -> int:
    """Serve the models at PATHS, and those that were pushed, until Ctrl-C or SIGTERM.

    A path is a model's file, a model's folder, a folder of numbered versions, or a folder of models; NAME=PATH gives
    the model another name, FILE.py:FUNCTION names a function, and `echo` is a model that answers what it was sent.
    Models that `salver push` published, and whatever was set with it, are served again at every start.
    Every protocol answers at one port. Each setting below can also stand in salver.toml or in a SALVER_ variable.

    \b
    Examples:
      salver serve model.onnx
      salver serve models/ --port 9000 --access-log off
      salver serve spam=classifier.pkl --compat tfserving,mms
    """
    resolved = resolution(context)
    from salver.app.server import serve
    from salver.cli.narration import Narrator
    from salver.cli.terminal import console

    settings = resolved.settings
    narrator = Narrator(console(), needs_key=settings.access.anonymous == "none")
    narrator.settings([f"{name} {value} ({where})" for name, value, where in chosen(resolved)])
    return serve(settings, paths, on_event=narrator)


def chosen(resolved: Resolution) -> Iterator[tuple[str, str, str]]:
    """Name, value and place of each setting that somebody chose."""
    for setting in catalogue():
        origin = resolved.origins[setting.name]
        if origin.source is not Source.DEFAULT:
            yield setting.name, as_text(without_password(resolved.value(setting))), origin.where
