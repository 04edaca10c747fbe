"""`salver model-archiver`: packs a folder as MMS's `model-archiver` does."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from salver.cli.archivers import (
    ArchiverFailed,
    archiver_command,
    check_export_path,
    check_free,
    check_name,
    manifest_text,
    write,
)
from salver.models.packing import ENDINGS, Package, members_of

FORMATS = ("tgz", "no-archive", "default")
RUNTIMES = ("python", "python2", "python3")


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="model-archiver",
        description="Pack a model archive.",
        epilog="Examples:\n  salver model-archiver --model-name net --model-path net/ --handler service:handle",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model-name", required=True, help="Name of the model, and of the archive.")
    parser.add_argument("--model-path", required=True, help="Folder with the model's files.")
    parser.add_argument("--handler", required=True, help="Handler in the folder, as module:function.")
    parser.add_argument("--runtime", default="python", choices=RUNTIMES, help="Python of the handler.")
    parser.add_argument("--export-path", default=os.getcwd(), help="Folder to write to; the current one by default.")
    parser.add_argument(
        "--archive-format",
        default="default",
        choices=FORMATS,
        help="default: NAME.mar; tgz: NAME.tar.gz; no-archive: the folder NAME.",
    )
    parser.add_argument("-f", "--force", action="store_true", help="Replace what is there.")
    parser.add_argument("-c", "--convert", action="store_true", help="Refused: ONNX models are served as they are.")
    return parser


def pack(given: argparse.Namespace) -> None:
    """Raises ArchiverFailed, OSError."""
    check_name(given.model_name, "Model")
    folder = check_export_path(given.export_path)
    if not os.path.isdir(given.model_path):
        raise ArchiverFailed(
            f"Given model-path {given.model_path} is not a valid directory. Point to a valid model-path directory."
        )
    if given.convert:
        raise ArchiverFailed(
            "--convert is not done: it would make an MXNet model of an ONNX model, and MXNet is no longer maintained.\n"
            "Serve the ONNX file itself: `salver serve model.onnx` answers the same calls."
        )
    target = folder / f"{given.model_name}{ENDINGS[given.archive_format]}"
    check_free(target, "model", is_forced=given.force)
    manifest = {
        "runtime": given.runtime,
        "model": {"modelName": given.model_name, "handler": given.handler},
        "modelServerVersion": "1.0",
        "implementationVersion": "1.0",
        "specificationVersion": "1.0",
    }
    members = members_of(Path(given.model_path), is_filtered=True)
    package = Package(name=given.model_name, members=members, manifest=manifest_text(manifest))
    write(package, target, given.archive_format)


command = archiver_command("model-archiver", "Pack a model archive as MMS's model-archiver does.", parser, pack)
