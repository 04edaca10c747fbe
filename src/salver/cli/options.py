"""Options that several commands share. Those of the settings are derived from the catalogue of settings."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import click

from salver.cli.terminal import show_warning
from salver.settings import Resolution, Setting, SettingsFile, catalogue, read_settings_file, resolve, setting_named
from salver.settings.catalogue import group_summaries

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

FLAGS = "salver.flags"
CONFIG = "salver.config"


class SettingOption(click.Option):
    """The flag of one setting. What is given goes, unread, into the context under the setting's name."""

    def __init__(self, setting: Setting) -> None:
        flag = f"{setting.flag}/--no-{setting.flag.removeprefix('--')}" if setting.is_switch else setting.flag
        super().__init__(
            [flag],
            expose_value=False,
            default=None,
            is_flag=setting.is_switch,
            multiple=setting.is_list,
            type=bool if setting.is_switch else str,
            metavar=None if setting.is_switch else _metavar(setting),
            help=_help(setting),
            callback=_keep,
        )
        self.setting = setting


class SettingsCommand(click.Command):
    """A command that takes settings; its help lists them by group."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        plain = [
            option
            for option in self.get_params(context)
            if isinstance(option, click.Option) and not isinstance(option, SettingOption)
        ]
        with formatter.section("Options"):
            formatter.write_dl(_records(plain, context))
        summaries = group_summaries()
        settings = [option for option in self.params if isinstance(option, SettingOption)]
        for group, options in groupby(settings, key=lambda option: option.setting.group):
            with formatter.section(f"Settings [{group}]: {summaries[group].rstrip('.')}"):
                formatter.write_dl(_records(options, context))


def setting_options(*names: str) -> Callable[[Decorated], Decorated]:
    """Adds `--config` and the flags of the named settings, or of all when none is named."""

    def decorate(function: Decorated) -> Decorated:
        chosen = [setting for setting in catalogue() if not names or setting.name in names]
        parameters = [SettingOption(setting) for setting in reversed(chosen)]
        click_params = function.__dict__.setdefault("__click_params__", [])
        click_params.extend(parameters)
        return config_option(function)

    return decorate


config_option = click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    expose_value=False,
    callback=lambda context, _, path: context.meta.__setitem__(CONFIG, path),
    help="Settings file to read instead of salver.toml in the current directory.",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def settings_file(context: click.Context) -> SettingsFile:
    """The file that `--config` names, else salver.toml in the current directory, else an empty one."""
    return read_settings_file(context.meta.get(CONFIG), Path.cwd())


def resolution(context: click.Context) -> Resolution:
    """The settings in force for this command; warnings about them go to standard error."""
    file = settings_file(context)
    resolved = resolve(file, os.environ, context.meta.get(FLAGS, {}))
    for warning in resolved.warnings:
        show_warning(warning)
    return resolved


def _keep(context: click.Context, option: click.Parameter, value: Any) -> None:
    assert isinstance(option, SettingOption)
    if value not in (None, ()):
        context.meta.setdefault(FLAGS, {})[option.setting.name] = value


def _metavar(setting: Setting) -> str:
    choices = re.fullmatch(r"(?:one|a list) of (\w+(?:, \w+)+)", setting.expected)
    if choices:
        return choices[1].replace(", ", "|")
    return {"a whole number": "N", "a number": "N"}.get(re.split(r",| from| above", setting.expected)[0], "TEXT")


def _help(setting: Setting) -> str:
    """The setting's sentence with the flags of other settings instead of their names, and its default."""
    text = re.sub(r"`(\w+)`", lambda match: _flag_of(match[1]), setting.doc)
    return f"{text}  [{setting.default_text}]" if setting.default_text else text


def _flag_of(name: str) -> str:
    setting = setting_named(name)
    return setting.flag if setting else f"`{name}`"


def _records(parameters: Iterable[click.Parameter], context: click.Context) -> list[tuple[str, str]]:
    return [record for parameter in parameters if (record := parameter.get_help_record(context)) is not None]
