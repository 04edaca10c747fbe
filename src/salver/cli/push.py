"""`salver push`: a file or folder becomes a version of a model."""

from __future__ import annotations

from pathlib import Path

import click

from salver.cli.changing import Changing, change_options
from salver.cli.failure import CommandFailed


@click.command("push")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="What the model is called [as model.toml says, else as the file or folder].")
@click.option("--version", type=int, help="The number of the version [one more than the highest].")
@click.option("--promote", is_flag=True, help="Let it also become the stable version.")
@change_options
def command(path: Path, name: str | None, version: int | None, promote: bool, changing: Changing) -> None:
    """Publish the model at PATH, a file or a folder, as a new version. The server keeps a copy and serves it.

    The usual policy serves the highest version: the new one takes over once it is ready, and when it cannot be loaded
    the old one goes on. The folder of a numbered version (digits/3) is that version of the model around it.

    \b
    Examples:
      salver push digits.onnx --plan
      salver push digits.onnx
      salver push build/model --name digits --promote
    """
    if not path.exists():
        raise CommandFailed(f"there is no file or folder {path}", "Check the path.")
    named, number = identity_of(path)
    changing.run(
        lambda client: client.push(
            path, name or named, version=number if version is None else version, promote=promote, how=changing.how
        )
    )


def identity_of(path: Path) -> tuple[str, int | None]:
    """The name and the version that a path stands for. Raises CommandFailed when it gives no name; LoadError."""
    from salver.models.folders import manifest_in
    from salver.models.naming import clean_name, stem
    from salver.models.versions import version_of

    path = path.resolve()
    number = version_of(path.name) if path.is_dir() else None
    home = path if number is None else path.parent
    folders = [path, home] if path.is_dir() else []
    files = [file for folder in folders if (file := manifest_in(folder)) is not None]
    own = next((file.manifest.name for file in files if file.manifest.name), None)
    name = clean_name(own or (home.name if home.is_dir() else stem(home.name)))
    if not name:
        raise CommandFailed(f"{path} gives its model no name that can be used.", "Give it one with --name.")
    return name, number
