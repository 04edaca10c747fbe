"""`salver import`: another server's set-up becomes ours."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from salver.cli.connection import connected, server_options
from salver.cli.failure import CommandFailed
from salver.cli.options import json_option
from salver.cli.terminal import console, show_json, show_warning

if TYPE_CHECKING:
    from salver.importers.base import Imported
    from salver.importers.writing import Deed
    from salver_client import Client

KINDS = ("tfserving", "archives", "triton", "mlserver", "mlflow")
WAIT_S = 60.0


@click.command("import")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), help="Folder to write settings and models to."
)
@click.option("--push", is_flag=True, help="Publish the models to the running server, with their policies and labels.")
@click.option("--plan", is_flag=True, help="Only say what would be done.")
@click.option("--as", "kind", type=click.Choice(KINDS), help="What SOURCE is [recognised].")
@click.option(
    "--root",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Where the absolute paths in SOURCE lie on this machine, as the file system of a container does.",
)
@click.option(
    "--batching-parameters-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What TensorFlow Serving's flag of this name names.",
)
@click.option(
    "--monitoring-config-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="What TensorFlow Serving's flag of this name names.",
)
@click.option("--strict", is_flag=True, help="Fail too when an option that may be missed is not mapped.")
@json_option
@server_options
@click.pass_context
def command(
    context: click.Context,
    source: Path,
    into: Path | None,
    push: bool,
    plan: bool,
    kind: str | None,
    root: Path | None,
    batching_parameters_file: Path | None,
    monitoring_config_file: Path | None,
    strict: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
) -> None:
    """Bring the set-up at SOURCE here: say what of it holds, what does not and why, and write or push it.

    SOURCE is a model_config_file or a base path of TensorFlow Serving, a model store or config.properties of MXNet
    Model Server or TorchServe, a Triton repository, an MLServer folder, or an MLflow model. It is only read. Doing it
    again changes nothing that is as it should be, and keeps what you changed since.

    Exit status: 0 when everything is brought, 1 when a model is not (or, with --strict, an option), 2 when SOURCE
    cannot be understood.

    \b
    Examples:
      salver import models.config
      salver import models.config --batching-parameters-file batching.config --into salver/
      salver import model_store/ --into salver/
      salver import repository/ --push --plan
    """
    from salver.importers import report, writing
    from salver.importers.known import read_setup

    files = {"batching_parameters_file": batching_parameters_file, "monitoring_config_file": monitoring_config_file}
    given = {flag: path for flag, path in files.items() if path is not None}
    imported = read_setup(source, kind, root, given)
    if into is not None:
        writing.check_apart(imported, into)
    if as_json:
        show_json(msgspec.to_builtins(imported, enc_hook=str))  # paths are texts
    else:
        out = console()
        for line in report.lines(imported):
            out.print(line)
    if into is not None and not plan:
        _tell_files(writing.write(imported, into), into, imported, as_json=as_json)
    if push:
        with connected(context, url, key) as client:
            _push(client, imported, is_plan=plan, as_json=as_json)
    if into is None and not push and not as_json:
        console().print("Nothing is written: say --into FOLDER, or --push to bring it to the running server.")
    _judge(imported, is_strict=strict)


def _tell_files(deeds: dict[str, Deed], into: Path, imported: Imported, *, as_json: bool) -> None:
    from salver.importers import report
    from salver.importers.writing import Deed

    for place in [place for place, deed in deeds.items() if deed is Deed.KEPT]:
        show_warning(f"{into / place} was changed since the last import, and stays as it is")
    if as_json:
        return
    out = console()
    counts = {deed: list(deeds.values()).count(deed) for deed in Deed}
    out.print(f"{into}: {counts[Deed.WRITTEN]} files written, {counts[Deed.SAME]} were there")
    out.print(f"Start it with: salver serve {into / 'models'} --config {into / 'salver.toml'}")
    for line in report.commands(imported):
        out.print(f"Say once, to the running server: {line}")


def _push(client: Client, imported: Imported, *, is_plan: bool, as_json: bool) -> None:
    """Version by version, oldest first, so that the highest one is the last to take over."""
    from salver.importers import writing
    from salver_client import How

    how = How(plan=is_plan, wait_s=WAIT_S)
    out = console()
    for model in imported.models:
        for version in model.served:
            with tempfile.TemporaryDirectory(prefix="salver-import-") as name:
                folder = Path(name)
                writing.lay_out(writing.package(model, version, imported.server), folder)
                outcome = client.push(folder, model.name, version=version.number, promote=False, how=how)
            if not as_json:
                out.print(f"{model.name} version {version.number}: {'would be published' if is_plan else 'published'}")
            for failed in outcome.failures:
                show_warning(f"{model.name} version {failed.version} cannot be loaded: {failed.reason}")
        if model.served and not is_plan:
            _settle(client, model, how)


def _settle(client: Client, model: Any, how: Any) -> None:
    """The policy and the labels, once all versions are there."""
    if model.policy is not None:
        policy = model.policy
        client.policy(model.name, policy.kind.value, count=policy.count, versions=policy.versions, how=how)
    for label, number in model.labels.items():
        client.label(model.name, label, number, how=how)


def _judge(imported: Imported, *, is_strict: bool) -> None:
    """Raises CommandFailed unless everything is brought."""
    lost = [model.name for model in imported.models if model.problem or not model.is_whole]
    if lost:
        fix = "The lines with NOT SERVED say why; the rest is brought all the same."
        raise CommandFailed(f"not everything is served here: {', '.join(lost)}", fix)
    if not imported.models:
        raise CommandFailed(f"{imported.source} names no model", "Check that it is what you mean.")
    if is_strict and imported.missed:
        fix = "The lines with NOT MAPPED say why; without --strict this is no failure."
        raise CommandFailed(f"{len(imported.missed)} options are not mapped", fix)
