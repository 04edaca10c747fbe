"""`salver config`: every setting with its value and where the value came from."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from salver.cli.options import SettingsCommand, json_option, resolution, setting_options
from salver.cli.terminal import show_json, show_table
from salver.settings import catalogue
from salver.settings.values import as_text, without_password


class EffectiveSetting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting as it is in force. `source` is default, file, variable or flag; `where` names the place."""

    name: str
    value: Any
    source: str
    where: str
    flag: str
    variable: str
    file_key: str


@click.command("config", cls=SettingsCommand)
@json_option
@setting_options()
@click.pass_context
def command(context: click.Context, as_json: bool) -> None:
    """Show each setting's value and where it came from.

    A flag wins over a SALVER_ variable, a variable over salver.toml, the file over the default.

    \b
    Examples:
      salver config
      SALVER_PORT=9000 salver config --json
    """
    resolved = resolution(context)
    rows = [
        EffectiveSetting(
            name=setting.name,
            value=without_password(resolved.value(setting)),
            source=resolved.origins[setting.name].source.value,
            where=resolved.origins[setting.name].where,
            flag=setting.flag,
            variable=setting.variable,
            file_key=setting.file_key,
        )
        for setting in catalogue()
    ]
    if as_json:
        show_json(rows)
    else:
        show_table(("SETTING", "VALUE", "FROM"), [(row.name, as_text(row.value), row.where) for row in rows])
