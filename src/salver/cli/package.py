"""`salver package`: a model becomes one file that holds all that it needs, and its address."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from salver.cli.options import SettingsCommand, json_option, resolution, setting_options
from salver.cli.terminal import console, show_json, show_warning
from salver.cli.versions import size_text

if TYPE_CHECKING:
    from salver.packaging.base import Packaged, Plan
    from salver.packaging.showing import Shown
    from salver.settings import Settings

DIGITS = 12


class Packages(click.Group):
    """`salver package PATH` makes one: what names no subcommand is a path."""

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        return super().get_command(context, name) or super().get_command(context, "make")

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        is_ours = bool(args) and (args[0] in self.commands or args[0] in context.help_option_names)
        return super().parse_args(context, args if is_ours or not args else ["make", *args])


@click.group("package", cls=Packages)
def command() -> None:
    """Pack a model with its lock, its example and the answer that it gave into one file.

    `salver package PATH` is short for `salver package make PATH`.

    \b
    Examples:
      salver package model.pkl
      salver package app.py:predict --example '{"x": [[1.0, 2.0]]}'
      salver package show model@9f86d081884c7d65.salver
    """


@command.command("make", cls=SettingsCommand)
@click.argument("path")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File or folder to write [NAME@DIGEST.salver].")
@click.option("--name", help="What the model is called [as model.toml says, else as the file or folder].")
@click.option("--function", help="The function of a Python file, as PATH:FUNCTION says it too.")
@click.option("--requirements", multiple=True, help="A file of requirements, or one requirement. Can be repeated.")
@click.option(
    "--lock", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Exact versions with hashes."
)
@click.option("--no-lock", is_flag=True, help="Leave the requirements as they are: the server locks them.")
@click.option("--python", default="", help="The interpreter's version [as the model says, else this one's].")
@click.option(
    "--code", type=click.Path(exists=True, path_type=Path), multiple=True, help="A file or folder that goes along."
)
@click.option("--example", help="A request: JSON, a file of it, or the file that is the only input.")
@click.option("--description", help="Text for people.")
@click.option("--no-check", is_flag=True, help="Do not build the environment and run the model.")
@click.option("--plan", is_flag=True, help="Say what would be packed, and do nothing.")
@json_option
@setting_options(
    *("data_dir", "environments_dir", "wheels_dir", "offline", "package_index", "extra_package_indexes"),
    *("allow_source_packages", "interpreters", "build_timeout_s", "load_timeout_s"),
)
@click.pass_context
def make(
    context: click.Context,
    /,
    path: str,
    output: Path | None,
    function: str | None,
    requirements: tuple[str, ...],
    no_lock: bool,
    code: tuple[Path, ...],
    no_check: bool,
    plan: bool,
    as_json: bool,
    **rest: Any,
) -> None:
    """Pack the model at PATH, whatever `salver serve` takes, into one file.

    Its packages are resolved to exact versions with hashes, as `salver env lock` does, their environment is built, the
    model is loaded in it, and what it answers to its example becomes the answer that every server checks before the
    model goes live. The same content has the same address on every machine.

    \b
    Examples:
      salver package model.pkl --requirements scikit-learn==1.5.2 --example row.json
      salver package digits/ -o out/
      salver package app.py:predict --code labels.txt --example '{"x": [[1.0, 2.0]]}'
    """
    from salver.packaging.base import Wanted
    from salver.packaging.making import make_package, plan_package

    wanted = Wanted(
        path=path if function is None else f"{path}:{function}",
        requirements=requirements,
        code=code,
        is_locked=not no_lock,
        is_checked=not no_check,
        **rest,
    )
    if plan:
        planned = plan_package(wanted)
        show_json(planned) if as_json else _show_plan(planned)
        return
    settings = resolution(context).settings
    made = make_package(wanted, settings, _environments(settings), output, _say)
    show_json(made) if as_json else _show_made(made)


@command.command("show")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def show(file: Path, as_json: bool) -> None:
    """Check every byte of the package FILE, and show what it is.

    The exit code is 1 when a file in it was changed, added or removed, or when its name names another content.
    """
    from salver.packaging.showing import show_package

    shown = show_package(file)
    show_json(shown) if as_json else _show(shown)


def _environments(settings: Settings) -> Path:
    """The folder that a server with these settings uses."""
    from salver.store.directory import DataDirectory

    if settings.environments.environments_dir:
        return Path(settings.environments.environments_dir).expanduser().absolute()
    directory = DataDirectory(settings.processes.data_dir)
    directory.prepare()
    return directory.folder("environments")


def _say(text: str) -> None:
    click.echo(text, err=True)


def _show_plan(planned: Plan) -> None:
    out = console()
    out.print(f"{planned.name}: {planned.label}")
    for file in planned.files:
        out.print(f"  holds {file}")
    how = "locked" if planned.is_locked else "not locked"
    out.print(f"  needs {', '.join(planned.requirements) or 'what its lock has'}, {how}")
    out.print(f"  runs on Python {planned.python or 'of this command'}")
    for note in planned.notes:
        show_warning(note)


def _show_made(made: Packaged) -> None:
    for note in made.notes:
        show_warning(note)
    out = console()
    out.print(made.path)
    out.print(f"  sha256:{made.digest}")
    out.print(f"  {len(made.files)} files, {size_text(made.size_bytes)}, {_locked(made.packages)}")
    proof = made.record.proved_with
    if proof is not None:
        answer = ", and its example's answer is in it" if made.has_answer else ""
        out.print(f"  proved with {proof['runtime']} on Python {proof['python']}{answer}")


def _show(shown: Shown) -> None:
    from salver.cli.signatures import signature_text

    out = console()
    out.print(f"{shown.record.name}: {shown.record.runtime}")
    out.print(f"  sha256:{shown.digest}")
    out.print(f"  {len(shown.files)} files, {size_text(shown.size_bytes)}, {_locked(shown.packages)}")
    if shown.record.signature is not None:
        out.print(f"  {signature_text(shown.record.signature)}")
    for word, told in (("created", shown.record.created_with), ("proved", shown.record.proved_with or {})):
        if told:
            out.print(f"  {word} with {', '.join(f'{key} {value}' for key, value in told.items())}")
    for file in shown.files:
        out.print(f"  {file}")


def _locked(packages: int) -> str:
    return f"{packages} locked packages" if packages else "not locked"
