"""The command `salver`: finds the subcommand, runs it, and turns every failure into two lines and an exit code."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Sequence
from typing import Any

import click

from salver.cli.failure import CommandFailed
from salver.cli.terminal import show_error
from salver.cli.version import version_text
from salver.errors import Code, SalverError, StartupError

COMMANDS = {
    "serve": "Serve models until Ctrl-C.",
    "tensorflow-model-server": "Serve as tensorflow_model_server does, with its flags.",
    "models": "List what the running server serves.",
    "predict": "Ask the running server for a prediction.",
    "package": "Pack a model with all that it needs into one file.",
    "push": "Publish a model, or a new version of one.",
    "versions": "List every version of a model.",
    "promote": "Choose the version that answers.",
    "rollback": "Go back to the version that answered before.",
    "label": "Name a version, or take a name away.",
    "route": "Share requests among versions.",
    "scale": "Set how many replicas a model has.",
    "policy": "Set which versions are loaded.",
    "load": "Load a model again, or try again what failed.",
    "unload": "Unload a model without forgetting it.",
    "delete": "Delete a version or a model for good.",
    "import": "Bring the set-up of another server here.",
    "env": "List, build and remove environments that models run in.",
    "keys": "Make, list and revoke API keys.",
    "state": "Back up, restore and check what the server keeps.",
    "config": "Show each setting's value and where it came from.",
    "doctor": "Find out why something does not work here.",
    "mxnet-model-server": "Serve as MXNet Model Server does.",
    "multi-model-server": "Serve as Multi Model Server does.",
    "torchserve": "Serve as TorchServe does.",
    "model-archiver": "Pack a model archive as MMS's model-archiver does.",
    "torch-model-archiver": "Pack a model archive as TorchServe's archiver does.",
    "torch-workflow-archiver": "Pack a workflow as TorchServe's archiver does.",
}
"""Each is a module of this package, with `_` for `-` and behind a word of Python's, that has a click command `command`;
imported when asked for."""

FAILED = 1
USAGE = 2
INTERRUPTED = 130


class Commands(click.Group):
    """A group that imports its commands when they are asked for, and the one place where their errors end."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        command: click.Command = importlib.import_module(f"salver.cli.{module}").command
        return command

    def format_commands(self, _context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def resolve_command(
        self, context: click.Context, arguments: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments[0] not in COMMANDS and not arguments[0].startswith("-"):
            raise click.exceptions.NoSuchCommand(arguments[0], possibilities=COMMANDS, ctx=context)
        return super().resolve_command(context, arguments)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except (KeyboardInterrupt, click.Abort):
            return INTERRUPTED
        except (SalverError, CommandFailed) as error:
            return _told(error, is_debug=context.params["debug"])
        except Exception as error:  # noqa: BLE001  the outermost boundary: a user never sees a traceback unasked
            return _told(_unexpected(error), is_debug=context.params["debug"])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version_text(), prog_name="salver")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def salver(debug: bool) -> None:
    """Serve any model over the protocols that clients already speak.

    \b
    Examples:
      salver serve model.onnx                     serve one model at http://127.0.0.1:8080
      salver serve models/ --port 9000            every model of a folder, at another port
      salver predict digits --input seven.png     ask the running server
      salver doctor                               find out why something does not work
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0, 1 failed, 2 wrongly used or cannot start, 130 interrupted."""
    try:
        result = salver.main(
            args=None if arguments is None else list(arguments), prog_name="salver", standalone_mode=False
        )
    except click.ClickException as error:
        show_error(error.format_message(), _usage_fix(error))
        return USAGE
    except click.Abort:
        return INTERRUPTED
    return result if isinstance(result, int) else 0


def exit_code(error: SalverError | CommandFailed) -> int:
    return USAGE if isinstance(error, StartupError) else FAILED


def _told(error: SalverError | CommandFailed, *, is_debug: bool) -> int:
    if is_debug:
        import traceback

        traceback.print_exception(error)
    show_error(error.message, error.fix)
    return exit_code(error)


def _unexpected(error: Exception) -> SalverError:
    wrapped = SalverError(
        Code.INTERNAL,
        f"Something failed that should not: {type(error).__name__}: {error}",
        fix="Run `salver --debug` with the same command for the traceback, and report it.",
    )
    wrapped.__cause__ = error
    return wrapped


def _usage_fix(error: click.ClickException) -> str:
    context = error.ctx if isinstance(error, click.UsageError) else None
    return f"`{context.command_path if context else 'salver'} --help` shows what can be given."
