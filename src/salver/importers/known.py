"""Which server a set-up is of, and all that it says."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from salver.importers import archives, tfserving
from salver.importers.base import Imported, Importer, Surroundings, unreadable
from salver.importers.folders import Mlflow, MlServer, Triton

IMPORTERS: Mapping[str, Importer] = {
    "mlflow": Mlflow(),
    "triton": Triton(),
    "mlserver": MlServer(),
    "archives": archives,
    "tfserving": tfserving,
}
"""By the word for `--as`, in the order in which they are asked."""

ACCEPTED = (
    "a model_config_file or base path of TensorFlow Serving, a model store or config.properties of MXNet Model Server "
    "or TorchServe, a Triton repository, an MLServer folder, an MLflow model"
)


def read_setup(path: Path, kind: str | None, root: Path | None, files: Mapping[str, Path] | None = None) -> Imported:
    """Everything that the set-up at `path` says; nothing of it is changed. Reads the disk.

    `files` belong to it by flags of the original's command. Raises StartupError when nobody knows it, when its own file
    cannot be understood, or when `files` are of another server than it.
    """
    if not path.exists():
        raise unreadable(path, "there is no such file or folder", "Check the path.")
    importer = IMPORTERS[kind] if kind is not None else _importer(path)
    if files and importer is not tfserving:
        flags = ", ".join(f"--{flag.replace('_', '-')}" for flag in files)
        raise unreadable(path, f"{flags} is for set-ups of TensorFlow Serving", "Leave it out.")
    with tempfile.TemporaryDirectory(prefix="salver-import-") as scratch:
        around = Surroundings(scratch=Path(scratch), root=root, environment=dict(os.environ), files=files or {})
        return importer.read(path, around)


def _importer(path: Path) -> Importer:
    try:
        found = next((importer for importer in IMPORTERS.values() if importer.fits(path)), None)
    except OSError as error:
        raise unreadable(path, f"it cannot be read: {error.strerror}", "Make it readable.") from error
    if found is None:
        fix = f"Known are {ACCEPTED}. A model by itself needs no import: `salver serve {path}`."
        raise unreadable(path, "this is no set-up of a server that is known", fix)
    return found
