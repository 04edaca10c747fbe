"""`salver push`: a file or folder becomes a version of a model."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import click

from salver.cli.changing import Changing, change_options
from salver.cli.failure import CommandFailed

DIGEST = "@sha256:"


@click.command("push")
@click.argument("path")
@click.option("--name", help="What the model is called [as model.toml says, else as the file or folder].")
@click.option("--version", type=int, help="The number of the version [one more than the highest].")
@click.option("--promote", is_flag=True, help="Let it also become the stable version.")
@change_options
def command(path: str, name: str | None, version: int | None, promote: bool, changing: Changing) -> None:
    """Publish the model at PATH, a file or a folder, as a new version. The server keeps a copy and serves it.

    PATH may also be an artefact of a remote that the server knows, remote:path@sha256:DIGEST: it fetches that itself.

    The usual policy serves the highest version: the new one takes over once it is ready, and when it cannot be loaded
    the old one goes on. The folder of a numbered version (digits/3) is that version of the model around it.

    \b
    Examples:
      salver push digits.onnx --plan
      salver push digits.onnx
      salver push build/model --name digits --promote
      salver push digits@9f86d081884c7d65.salver
      salver push zoo:vision/resnet.onnx@sha256:9f86d081... --name resnet
    """
    how = changing.how
    check_name(name)
    if DIGEST in path and not Path(path).exists():
        model = name or named_by(PurePosixPath(path.partition(DIGEST)[0]).name)
        changing.run(lambda client: client.fetch(path, model, version=version, promote=promote, how=how))
        return
    if not Path(path).exists():
        fix = "What a remote has is named as remote:path@sha256:DIGEST." if ":" in path else "Check the path."
        raise CommandFailed(f"there is no file or folder {path}", fix)
    named, number = identity_of(Path(path))
    wanted = number if version is None else version
    changing.run(
        lambda client: client.push(path, name or named, version=wanted, promote=promote, how=how), tells_digest=True
    )


def check_name(name: str | None) -> None:
    """Raises CommandFailed for what cannot name a model."""
    from salver.models.naming import NAME_RULE, is_name

    if name is not None and not is_name(name):
        raise CommandFailed(f"{name!r} is no name for a model: it must be {NAME_RULE}.", "Choose another with --name.")


def named_by(file_name: str) -> str:
    """Raises CommandFailed when the file gives no name."""
    from salver.models.naming import clean_name, stem

    name = clean_name(stem(file_name))
    if not name:
        raise CommandFailed(f"{file_name} gives its model no name that can be used.", "Give it one with --name.")
    return name


def identity_of(path: Path) -> tuple[str, int | None]:
    """The name and the version that a path stands for. Raises CommandFailed when it gives no name; LoadError."""
    from salver.models.folders import manifest_in
    from salver.models.packagefile import is_package
    from salver.models.versions import version_of

    path = path.resolve()
    if path.is_file() and is_package(path):
        return _packaged_name(path) or named_by(path.name.partition("@")[0] + "."), None
    number = version_of(path.name) if path.is_dir() else None
    home = path if number is None else path.parent
    folders = [path, home] if path.is_dir() else []
    files = [file for folder in folders if (file := manifest_in(folder)) is not None]
    own = next((file.manifest.name for file in files if file.manifest.name), None)
    return own or named_by(f"{home.name}." if home.is_dir() else home.name), number


def _packaged_name(path: Path) -> str | None:
    """What a package calls its model. Raises CommandFailed, LoadError."""
    from salver.models.manifest import FILE_NAME
    from salver.models.manifestfile import parse_manifest
    from salver.models.packagefile import read_text
    from salver.models.zips import ZipRefused

    try:
        text = read_text(path, FILE_NAME)
    except ZipRefused as refused:
        raise CommandFailed(f"{path} {refused}", "Copy it again.") from refused
    return None if text is None else parse_manifest(text, f"{path}, {FILE_NAME}").name
