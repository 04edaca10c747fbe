"""`salver doctor`: looks at everything a server needs on this machine, and says what to do about what is wrong."""

from __future__ import annotations

import click

from salver.cli.checks import Finding, State, run_checks
from salver.cli.options import SettingsCommand, json_option, resolution, setting_options
from salver.cli.terminal import console, show_json
from salver.errors import SalverError
from salver.settings import Settings

COLOURS = {State.FINE: "green", State.NOTE: "yellow", State.WRONG: "red"}


@click.command("doctor", cls=SettingsCommand)
@json_option
@setting_options("host", "port", "grpc_port", "compat", "data_dir", "state_url", "max_connections")
@click.pass_context
def command(context: click.Context, as_json: bool) -> int:
    """Check Python, packages, settings, data directory, ports and worker processes.

    The exit code is 1 when something would keep a server from working. Nothing is changed.

    \b
    Examples:
      salver doctor
      salver doctor --port 9000 --json
    """
    findings = [*_settings_findings(context)]
    if as_json:
        show_json(findings)
    else:
        for finding in findings:
            _show(finding)
    return int(any(finding.state is State.WRONG for finding in findings))


def _settings_findings(context: click.Context) -> list[Finding]:
    """Wrong settings are a finding like the others; the rest is then checked with the defaults."""
    try:
        settings = resolution(context).settings
    except SalverError as error:
        broken = Finding("settings", State.WRONG, error.message, error.fix)
        return [broken, *run_checks(Settings())]
    return [Finding("settings", State.FINE, "every setting is valid"), *run_checks(settings)]


def _show(finding: Finding) -> None:
    out = console()
    out.print(f"{finding.state.value:<6}", style=COLOURS[finding.state], end="")
    out.print(f"{finding.subject:<16} {finding.message}")
    if finding.fix:
        out.print(f"{'':<23}fix: {finding.fix}", style="bold")
