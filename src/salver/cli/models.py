"""`salver models`: what a running server serves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from salver.cli.connection import connected, server_options
from salver.cli.options import json_option
from salver.cli.signatures import signature_text
from salver.cli.terminal import console, show_json, show_table

if TYPE_CHECKING:
    from salver_client.results import Model, Version

COLUMNS = ("MODEL", "VERSION", "STATE", "REPLICAS", "RUNTIME", "LABELS", "WEIGHT", "REASON")


@click.command("models")
@click.argument("name", required=False)
@json_option
@server_options
@click.pass_context
def command(context: click.Context, name: str | None, as_json: bool, url: str | None, key: str | None) -> None:
    """List the models of the running server, or show all about the one called NAME.

    \b
    Examples:
      salver models
      salver models digits
      salver models --url http://host:8080 --key msk_... --json
    """
    with connected(context, url, key) as client:
        shown = client.models() if name is None else client.model(name)
    if as_json:
        show_json(shown)
    elif isinstance(shown, tuple):
        show_table(COLUMNS, [_row(model, version) for model in shown for version in model.versions])
    else:
        for version in shown.versions:
            _describe(shown, version)


def _row(model: Model, version: Version) -> tuple[str, ...]:
    return (
        model.name,
        f"{version.version}{' (default)' if version.version == model.default_version else ''}",
        version.state,
        f"{version.replicas_ready}/{version.replicas_wanted}",
        version.runtime,
        labels(model, version.version),
        weight(model, version.version),
        version.reason,
    )


def labels(model: Model, version: int) -> str:
    return ",".join(label for label, number in model.labels.items() if number == version)


def weight(model: Model, version: int) -> str:
    """The version's part of the route; empty where it has none."""
    return "" if model.route is None else str(model.route.weights.get(version, ""))


def _describe(model: Model, version: Version) -> None:
    out = console()
    out.print(f"{model.name} version {version.version}: {version.state}", style="bold")
    facts = {
        "description": version.description,
        "runtime": version.runtime,
        "replicas": f"{version.replicas_ready} of {version.replicas_wanted} ready",
        "labels": labels(model, version.version),
        "weight": weight(model, version.version),
        "source": version.source,
        "environment": version.environment,
        "reason": version.reason,
        "fix": version.fix,
        **version.details,
    }
    for name, fact in facts.items():
        if fact:
            out.print(f"  {name:<12} {fact}")
    for name, signature in version.signatures.items():
        out.print(f"  {'signature':<12} {signature_text(signature, name)}")
    for replica in version.replicas:
        out.print(f"  {'replica':<12} {replica.id} pid {replica.pid} {replica.state}, {replica.restarts} restarts")
    for line in version.log_tail:
        out.print(f"  | {line}")
