"""`salver env`: the environments that models run in."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from salver.cli.connection import connected, server_options
from salver.cli.failure import CommandFailed
from salver.cli.options import json_option
from salver.cli.terminal import console, show_json, show_table
from salver.cli.versions import size_text

if TYPE_CHECKING:
    from salver.replicas.environments.base import EnvironmentRequest
    from salver_client import BuiltEnvironment, Environment

COLUMNS = ("ID", "KIND", "VERSION", "PACKAGES", "SIZE", "BUILT", "TOOK", "USED BY")
ID_DIGITS = 12
PYTHON = "python"
LANGUAGES = {PYTHON: "Python", "r": "R"}


@click.group("env")
def command() -> None:
    """List, lock, build and remove the environments that models run in.

    A model that asks for packages which the server itself lacks gets an environment of its own when it is served. These
    commands build one before it is needed, show what is there, and remove what is not needed any more.

    PATH is a model, the folder of one, or a file that asks for packages: requirements.txt, pyproject.toml, conda.yaml,
    a lock, or a renv.lock, whose packages of R are installed from `r_repositories`.

    \b
    Examples:
      salver env build digits/
      salver env lock requirements.txt --python 3.8 -o requirements.lock
      salver env prune --plan
    """


@command.command("list")
@json_option
@server_options
@click.pass_context
def list_(context: click.Context, as_json: bool, url: str | None, key: str | None) -> None:
    """List the environments that are built, the oldest first."""
    with connected(context, url, key) as client:
        found = client.environments()
    if as_json:
        show_json(found)
    else:
        show_table(COLUMNS, map(_row, found))


@command.command("show")
@click.argument("id")
@click.option("--lock", "only_lock", is_flag=True, help="Print the lock alone, as a file of requirements.")
@json_option
@server_options
@click.pass_context
def show(context: click.Context, id: str, only_lock: bool, as_json: bool, url: str | None, key: str | None) -> None:
    """Show the environment with this ID, of which the beginning is enough."""
    with connected(context, url, key) as client:
        found = client.environment(id)
    if as_json:
        show_json(found)
    elif only_lock:
        click.echo(found.lock, nl=False)
    else:
        out = console()
        out.print(f"environment {found.id}")
        out.print(f"  {_language(found)}, {found.interpreter}")
        out.print(f"  {size_text(found.size_bytes)}, built {_minute(found)} in {found.build_s:.1f} s")
        out.print(f"  lock sha256:{found.lock_digest}")
        out.print(f"  used by {', '.join(found.used_by) or 'no version'}")
        show_table(("PACKAGE", "VERSION"), sorted(found.installed.items()))


@command.command("lock")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--python", default="", help="The interpreter's version [as PATH says, else the server's own].")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Write it there [print it].")
@server_options
@click.pass_context
def lock(
    context: click.Context, path: Path, python: str, output: Path | None, url: str | None, key: str | None
) -> None:
    """Resolve what PATH asks for to exact versions with hashes.

    The server keeps the lock, and whoever may publish may then use it. With `lock` under [environment] in model.toml it
    goes with the model.
    """
    wanted = _wanted(path)
    if wanted.lock and wanted.kind == PYTHON:
        raise CommandFailed(f"{path} is a lock already.", "Give requirements, or build it with `salver env build`.")
    with connected(context, url, key) as client:
        made = client.lock_environment(**_asked(wanted, python))
    if output is None:
        click.echo(made.lock, nl=False)
    else:
        output.write_text(made.lock)
        click.echo(f"{output}: sha256:{made.digest}", err=True)


@command.command("build")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@click.option("--python", default="", help="The interpreter's version [as PATH says, else the server's own].")
@click.option("--plan", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@server_options
@click.pass_context
def build(
    context: click.Context, path: Path, python: str, plan: bool, as_json: bool, url: str | None, key: str | None
) -> None:
    """Build what PATH asks for, before a model needs it."""
    wanted = _wanted(path)
    with connected(context, url, key) as client:
        built = client.build_environment(**_asked(wanted, python), plan=plan)
    if as_json:
        show_json(built)
    else:
        _show_built(built)


@command.command("prune")
@click.option("--plan", is_flag=True, help="Say what would be done, and do nothing.")
@json_option
@server_options
@click.pass_context
def prune(context: click.Context, plan: bool, as_json: bool, url: str | None, key: str | None) -> None:
    """Remove the environments that no version of a model uses, loaded or not."""
    with connected(context, url, key) as client:
        pruned = client.prune_environments(plan=plan)
    if as_json:
        show_json(pruned)
        return
    out = console()
    word = "would be removed" if plan else "is removed"
    for each in pruned.removed:
        out.print(f"{each.id[:ID_DIGITS]} {word}: {_language(each)}, {each.packages} packages")
    out.print(f"{size_text(pruned.size_bytes)} of files in {len(pruned.removed)}, {len(pruned.kept)} stay")


def _wanted(path: Path) -> EnvironmentRequest:
    """What a path asks for, read as the server would. Raises CommandFailed when it asks for nothing; LoadError."""
    from salver.models.discovery import discover
    from salver.models.environmentfiles import request_of_file

    if path.is_file() and (found := request_of_file(path)) is not None:
        return found
    with tempfile.TemporaryDirectory() as folder:
        models = discover([str(path)], Path(folder)).models
    wishes: list[Any] = list(dict.fromkeys(model.wish.request for model in models if model.wish is not None))
    if len(wishes) == 1:
        return wishes[0]  # type: ignore[no-any-return]
    if not wishes:
        raise CommandFailed(f"{path} asks for no packages.", "Write a requirements.txt beside the model.")
    raise CommandFailed(f"{path} holds {len(wishes)} models that ask for different packages.", "Name one of them.")


def _asked(wanted: EnvironmentRequest, python: str) -> dict[str, Any]:
    """As the client is told. Raises CommandFailed."""
    if wanted.kind == PYTHON:
        return {
            "requirements": wanted.requirements,
            "python": python or wanted.python,
            "constraints": wanted.constraints,
            "lock": wanted.lock,
        }
    if python:
        raise CommandFailed(f"{wanted.origin} is about R, and not about Python.", "Leave --python out.")
    return {"kind": wanted.kind, "lock": wanted.lock}


def _language(each: Environment) -> str:
    return f"{LANGUAGES.get(each.kind, each.kind)} {each.python}"


def _show_built(built: BuiltEnvironment) -> None:
    out = console()
    for step in built.steps:
        out.print(step)
    if built.environment is not None:
        each = built.environment
        out.print(f"environment {each.id[:ID_DIGITS]}: {_language(each)}, {each.packages} packages")


def _row(each: Environment) -> tuple[str, ...]:
    return (
        each.id[:ID_DIGITS],
        each.kind,
        each.python,
        str(each.packages),
        size_text(each.size_bytes),
        _minute(each),
        f"{each.build_s:.1f} s",
        ", ".join(each.used_by),
    )


def _minute(each: Environment) -> str:
    return each.built_at.astimezone().strftime("%Y-%m-%d %H:%M")
