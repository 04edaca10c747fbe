"""`salver torch-workflow-archiver`: packs a workflow as TorchServe's archiver does."""

from __future__ import annotations

import argparse
import os
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
    manifest_text,
    write,
)
from salver.models.packing import Member, Package

ARCHIVER_VERSION = "0.2.15"
"""Of the archiver whose manifests these are."""


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="torch-workflow-archiver",
        description="Pack a workflow.",
        epilog="Examples:\n  salver torch-workflow-archiver --workflow-name w --spec-file w.yaml --handler w.py",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--workflow-name", required=True, help="Name of the workflow, and of the archive.")
    parser.add_argument("--spec-file", required=True, help="YAML file with the models and the graph.")
    parser.add_argument("--handler", help="Python file with the functions of the graph.")
    parser.add_argument("--export-path", default=os.getcwd(), help="Folder to write to; the current one by default.")
    parser.add_argument("-f", "--force", action="store_true", help="Replace what is there.")
    parser.add_argument("--extra-files", help="More files, with commas between.")
    return parser


def pack(given: argparse.Namespace) -> None:
    """Raises ArchiverFailed, OSError."""
    check_name(given.workflow_name, "Workflow")
    folder = check_export_path(given.export_path)
    target = folder / f"{given.workflow_name}.war"
    check_free(target, "workflow", is_forced=given.force)
    paths = [given.spec_file, *comma_separated(given.handler), *comma_separated(given.extra_files)]
    missing = next((path for path in paths if not os.path.isfile(path)), None)
    if missing is not None:
        raise ArchiverFailed(f"File does not exist: {missing}")
    members = {os.path.basename(path): Member(Path(path), os.path.basename(path)) for path in paths}
    workflow = {
        "workflowName": given.workflow_name,
        "specFile": base_name(given.spec_file),
        "handler": base_name(given.handler),
    }
    manifest = {
        "createdOn": created_on(),
        "workflow": {key: value for key, value in workflow.items() if value},
        "archiverVersion": ARCHIVER_VERSION,
    }
    package = Package(
        name=given.workflow_name,
        members=tuple(members.values()),
        manifest=manifest_text(manifest),
        manifest_name="WAR-INF/MANIFEST.json",
    )
    write(package, target, "default")


command = archiver_command("torch-workflow-archiver", "Pack a workflow as TorchServe's archiver does.", parser, pack)
