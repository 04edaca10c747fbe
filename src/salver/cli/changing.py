"""What the commands that change models share: their options, and what they print of what was done."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from salver.cli.connection import connected, server_options
from salver.cli.failure import CommandFailed
from salver.cli.options import json_option
from salver.cli.terminal import console, show_json, show_warning

if TYPE_CHECKING:
    from salver_client import Client, How, Model, Outcome, Version

Decorated = TypeVar("Decorated", bound=Callable[..., Any])
DEFAULT_WAIT_S = 60.0


class Changing:
    """One change by one command: asks the server for it and tells what came of it."""

    def __init__(self, context: click.Context, how: How, *, as_json: bool, url: str | None, key: str | None) -> None:
        self.how = how
        self._context = context
        self._as_json = as_json
        self._url = url
        self._key = key

    def run(self, change: Callable[[Client], Outcome], *, minds_all: bool = False, tells_digest: bool = False) -> None:
        """Raises CommandFailed: also when the change is kept and its version, or with `minds_all` any, has failed."""
        with connected(self._context, self._url, self._key) as client:
            outcome = change(client)
        if self._as_json:
            show_json(outcome)
        elif outcome.is_plan:
            show_plan(outcome)
        else:
            show_outcome(outcome)
            if tells_digest and outcome.digest:
                console().print(f"version {outcome.version} is sha256:{outcome.digest}")
        failures = [each for each in outcome.failures if minds_all or each.version == outcome.version]
        if failures and not outcome.is_plan:
            raise failed(outcome, failures[0])

    def ask(self, question: str, *, is_yes: bool) -> None:
        """Have the user confirm what cannot be undone. Raises click.Abort."""
        if not is_yes and not self.how.plan:
            click.confirm(question, abort=True, err=True)


def change_options(function: Decorated) -> Decorated:
    """Adds `--plan`, `--wait`, `--revision`, `--json` and how the server is reached, as the one argument `changing`."""

    @functools.wraps(function)
    def run(
        *args: Any,
        plan: bool,
        wait: float,
        revision: int | None,
        as_json: bool,
        url: str | None,
        key: str | None,
        **rest: Any,
    ) -> Any:
        from salver_client import How

        how = How(plan=plan, wait_s=wait, revision=revision)
        changing = Changing(click.get_current_context(), how, as_json=as_json, url=url, key=key)
        return function(*args, changing=changing, **rest)

    options = (
        click.option("--plan", is_flag=True, help="Say what would be done, and do nothing."),
        click.option(
            "--wait",
            type=click.FloatRange(0, 600),
            default=DEFAULT_WAIT_S,
            show_default=True,
            help="Seconds to wait until what is wanted serves or has failed.",
        ),
        click.option("--revision", type=int, help="Change it only if nobody did since this revision."),
        json_option,
        server_options,
    )
    for option in reversed(options):
        run = option(run)
    return run  # type: ignore[return-value]  # the same, with other parameters


def show_plan(outcome: Outcome) -> None:
    out = console()
    for step in outcome.steps:
        out.print(step)
    if not outcome.steps:
        out.print("nothing would change")
    for warning in outcome.warnings:
        show_warning(warning)


def show_outcome(outcome: Outcome) -> None:
    """How the model stands now."""
    out = console()
    for warning in outcome.warnings:
        show_warning(warning)
    model = outcome.now
    if model is None:
        out.print(f"{outcome.model} is gone")
        return
    for version in model.versions:
        out.print(standing(model, version))
    if not model.versions:
        out.print(f"{model.name}: no version is loaded")
    if not outcome.is_settled:
        out.print(f"it goes on; `salver models {outcome.model}` shows how far it is", style="dim")


def standing(model: Model, version: Version) -> str:
    """One version in a line: its state, and what it is there for."""
    roles = ["default"] if version.version == model.default_version else []
    roles += sorted(label for label, number in model.labels.items() if number == version.version)
    if model.route is not None and version.version in model.route.weights:
        roles.append(f"weight {model.route.weights[version.version]}")
    told = f" ({', '.join(roles)})" if roles else ""
    replicas = f", {version.replicas_ready} of {version.replicas_wanted} replicas ready"
    return f"{model.name} version {version.version}: {version.state}{told}{replicas}"


def failed(outcome: Outcome, version: Version) -> CommandFailed:
    lines = "".join(f"\n  | {line}" for line in version.log_tail[-10:])
    return CommandFailed(
        f"The change is kept, but {outcome.model} version {version.version} cannot be loaded: {version.reason}{lines}",
        version.fix or f"Mend it and push it again, or try again with `salver load {outcome.model}`.",
    )
