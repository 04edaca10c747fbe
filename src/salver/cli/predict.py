"""`salver predict`: one prediction from a running server, read from a file, standard input or the command line."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from salver.cli.connection import connected, server_options
from salver.cli.failure import CommandFailed
from salver.cli.options import json_option
from salver.cli.signatures import signature_text
from salver.cli.terminal import console, show_json, show_table

if TYPE_CHECKING:
    from salver_client.results import Model, Prediction

STANDARD_INPUT = "-"
WRAPPERS = ("inputs", "instances")


@click.command("predict")
@click.argument("model")
@click.option("--input", "given", metavar="FILE|-|JSON", help="What to send: a file, `-` for standard input, or JSON.")
@click.option("--version", type=int, help="Version to ask [the default one].")
@click.option("--label", help="Label of the version to ask.")
@click.option(
    "--stream", is_flag=True, help="Print the parts of the answer as they come; with --json one on each line."
)
@json_option
@server_options
@click.pass_context
def command(
    context: click.Context,
    model: str,
    given: str | None,
    version: int | None,
    label: str | None,
    stream: bool,
    as_json: bool,
    url: str | None,
    key: str | None,
) -> None:
    """Ask MODEL of the running server for a prediction.

    JSON is either the values of the only input, or an object of values by input name. A file that is not JSON (an
    image, a sound, a .npy, .csv, .parquet, .arrow, .jsonl) is sent as it is.

    \b
    Examples:
      salver predict digits --input seven.png
      salver predict iris --input flowers.parquet
      salver predict iris --input '[[5.1, 3.5, 1.4, 0.2]]'
      salver predict iris --input '{"x": [[5.1, 3.5, 1.4, 0.2]]}' --json
      cat seven.png | salver predict digits --input -
      salver predict story --input '{"prompt": ["once"]}' --stream
    """
    inputs = None if given is None else read_input(given)
    with connected(context, url, key) as client:
        if given is None:
            raise _nothing_to_send(client.model(model))
        if stream:
            for part in client.stream(model, inputs, version=version, label=label):
                show_part(part, as_json=as_json)
            return
        prediction = client.predict(model, inputs, version=version, label=label)
    if as_json:
        show_json(as_document(prediction))
    else:
        show(prediction)


def show_part(part: Prediction, *, as_json: bool) -> None:
    """Print one part at once, whoever reads: a line, or the bytes of a body as they are."""
    if as_json:
        click.echo(json.dumps(as_document(part)))
    else:
        show(part)
    sys.stdout.flush()


def read_input(given: str) -> Any:
    """What `--input` names, as the client takes it. Raises CommandFailed."""
    if given == STANDARD_INPUT:
        data = sys.stdin.buffer.read()
        return _parsed(data) if data.lstrip().startswith((b"[", b"{")) else data
    path = Path(given)
    if _is_file(path):
        return _parsed(path.read_bytes()) if path.suffix.lower() == ".json" else path
    if given.lstrip().startswith(("[", "{", '"')) or _is_number(given):
        return _parsed(given.encode())
    raise CommandFailed(
        f"There is no file {given}, and it is not JSON.",
        "Give an existing file, JSON in single quotes, or `-` for standard input.",
    )


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # JSON longer than a file's name may be
        return False


def _parsed(data: bytes) -> Any:
    """JSON values without the wrapping that the HTTP protocols put around them."""
    try:
        values = json.loads(data)
    except ValueError as error:
        raise CommandFailed(f"The input is not valid JSON: {error}.", "Correct the JSON at that place.") from error
    if isinstance(values, dict) and len(values) == 1 and next(iter(values)) in WRAPPERS:
        return next(iter(values.values()))
    return values


def _nothing_to_send(model: Model) -> CommandFailed:
    signatures = [
        signature_text(signature, name) for version in model.versions for name, signature in version.signatures.items()
    ]
    takes = f" It takes: {signatures[0]}." if signatures else ""
    return CommandFailed(f"There is nothing to send to {model.name}.{takes}", "Give --input FILE, - or JSON.")


def as_document(prediction: Prediction) -> dict[str, Any]:
    """The answer as the native protocol writes it; the text of a body, where there is one."""
    document: dict[str, Any] = {"model": prediction.model, "version": prediction.version}
    if prediction.body is not None:
        return document | {"content_type": prediction.content_type, "body": prediction.body.decode("utf-8", "replace")}
    if prediction.ranking is not None:
        document["ranking"] = [
            [{"class": ranked.label, "probability": ranked.probability} for ranked in row] for row in prediction.ranking
        ]
    return document | {"outputs": dict(prediction.outputs)}


def show(prediction: Prediction) -> None:
    """Print the answer for a person; a body as it is."""
    if prediction.body is not None:
        sys.stdout.flush()
        sys.stdout.buffer.write(prediction.body)
        sys.stdout.buffer.flush()
    elif prediction.ranking is not None:
        for number, row in enumerate(prediction.ranking, start=1):
            if len(prediction.ranking) > 1:
                console().print(f"row {number}", style="bold")
            show_table(("CLASS", "PROBABILITY"), [(ranked.label, _percent(ranked.probability)) for ranked in row])
    else:
        for name, values in prediction.outputs.items():
            console().print(f"{name}: {json.dumps(values)}")


def _percent(probability: float | None) -> str:
    return "unknown" if probability is None else f"{probability:.1%}"
