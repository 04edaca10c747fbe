"""`salver torch-model-archiver`: packs a model's files as TorchServe's archiver does."""

from __future__ import annotations

import argparse
import glob
import os
from collections.abc import Iterator
from pathlib import Path

from salver.cli.archivers import (
    ArchiverFailed,
    archiver_command,
    base_name,
    check_export_path,
    check_free,
    check_name,
    comma_separated,
    created_on,
    log,
    manifest_text,
    write,
)
from salver.models.packing import ENDINGS, Member, Package, members_of

FORMATS = ("tgz", "no-archive", "zip-store", "default")
RUNTIMES = ("python", "python3", "LSP")
ARCHIVER_VERSION = "0.12.0"
"""Of the archiver whose manifests these are."""
BUILT_IN = frozenset(
    {
        "base_handler",
        "text_classifier",
        "image_classifier",
        "object_detector",
        "image_segmenter",
        "dali_image_classifier",
        "vllm_handler",
        "trt_llm_handler",
    }
)
"""Handlers that TorchServe itself has, of which there is no file."""
BUILT_IN_LSP = frozenset({"BaseHandler", "TorchScriptHandler"})


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torch-model-archiver",
        description="Pack a model archive.",
        epilog="Examples:\n  salver torch-model-archiver --model-name net --version 1.0 --handler service.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model-name", required=True, help="Name of the model, and of the archive.")
    parser.add_argument("--serialized-file", help="The weights: a .pt, .pth, .onnx or .so file.")
    parser.add_argument("--model-file", help="Python file with the one class of an eager model.")
    parser.add_argument("--handler", required=True, help="Handler: a name of TorchServe's own, or a Python file.")
    parser.add_argument("--extra-files", help="More files and folders, with commas between; patterns may be used.")
    parser.add_argument("--runtime", default="python", choices=RUNTIMES, help="What runs the handler.")
    parser.add_argument("--export-path", default=os.getcwd(), help="Folder to write to; the current one by default.")
    parser.add_argument(
        "--archive-format",
        default="default",
        choices=FORMATS,
        help="default: NAME.mar; zip-store: the same, not compressed; tgz: NAME.tar.gz; no-archive: the folder NAME.",
    )
    parser.add_argument("-f", "--force", action="store_true", help="Replace what is there.")
    parser.add_argument("-v", "--version", required=True, help="Version of the model.")
    parser.add_argument("-r", "--requirements-file", help="requirements.txt of the model.")
    parser.add_argument("-c", "--config-file", help="YAML file with settings of the model.")
    return parser


def pack(given: argparse.Namespace) -> None:
    """Raises ArchiverFailed, OSError."""
    check_name(given.model_name, "Model")
    folder = check_export_path(given.export_path)
    target = folder / f"{given.model_name}{ENDINGS[given.archive_format]}"
    check_free(target, "model", is_forced=given.force)
    members = {member.name: member for member in _members(given)}
    model = {
        "modelName": given.model_name,
        "serializedFile": base_name(given.serialized_file),
        "handler": base_name(given.handler),
        "modelFile": base_name(given.model_file),
        "modelVersion": given.version,
        "requirementsFile": base_name(given.requirements_file),
        "configFile": base_name(given.config_file),
    }
    manifest = {
        "createdOn": created_on(),
        "runtime": given.runtime,
        "model": {key: value for key, value in model.items() if value},
        "archiverVersion": ARCHIVER_VERSION,
    }
    package = Package(name=given.model_name, members=tuple(members.values()), manifest=manifest_text(manifest))
    write(package, target, given.archive_format)


def _members(given: argparse.Namespace) -> Iterator[Member]:
    """Everything at the top of the archive; what comes later wins over what has the same name, as in the original."""
    for path in (given.model_file, given.serialized_file, _handler_file(given.handler, given.runtime)):
        if path:
            yield _member(path)
    for text in comma_separated(given.extra_files):
        yield from _extra(text)
    for path in (given.requirements_file, given.config_file):
        if path:
            yield _member(path)


def _handler_file(handler: str, runtime: str) -> str | None:
    if runtime == "LSP":
        return None if handler in BUILT_IN_LSP else f"{handler.partition(':')[0]}.so"
    if handler in BUILT_IN:
        return None
    return handler if ".py" in handler else f"{handler.partition(':')[0]}.py"


def _member(path: str) -> Member:
    if not os.path.isfile(path):
        raise ArchiverFailed(f"File does not exist: {path}")
    return Member(Path(path), os.path.basename(path))


def _extra(text: str) -> Iterator[Member]:
    """A file, or the files of a folder; hidden folders in it stay out."""
    is_pattern = any(sign in text for sign in "*?") or ("[" in text and "]" in text)
    if not is_pattern and not os.path.exists(text):
        raise ArchiverFailed(f"File does not exist: {text}")
    found = sorted(glob.glob(text)) or ([] if is_pattern else [text])
    if not found:
        log("WARNING", f"Given wildcard pattern did not match any file: {text}")
    for path in found:
        if os.path.isdir(path):
            yield from members_of(Path(path), is_filtered=False)
        else:
            yield _member(path)


command = archiver_command("torch-model-archiver", "Pack a model archive as TorchServe's archiver does.", parser, pack)
