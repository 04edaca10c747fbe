"""Files of PyTorch: what they are is in the names inside their zip. Nothing of them is opened."""

from __future__ import annotations

from pathlib import Path

from salver.errors import Code, LoadError
from salver.models.recognising.base import FileView, Recognition
from salver.models.versions import version_of
from salver.models.zips import open_zip

OLD_START = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19."
"""The magic number of what releases before 1.6 saved, behind the pickle's first two bytes."""
OLD_PROGRAM = "serialized_exported_program.json"
"""What releases before 2.8 kept a program of `torch.export` in."""
SAFETENSORS = ".safetensors"
MAX_PICKLE_BYTES = 1024 * 1024
_WHOLE = b"torch.nn.modules."
"""What stands in the pickle of a whole module, and not in one of weights alone."""


def recognise_torch(view: FileView, _function: str | None) -> Recognition | None:
    kind = _kind(view)
    if kind is None:
        return None
    return Recognition(runtime="torch", artifact=view.path, trust="code", label=f"PyTorch model ({kind})")


def _kind(view: FileView) -> str | None:
    if any(name.endswith("/archive_format") or name == OLD_PROGRAM for name in view.members):
        return "torch.export"
    pickle = next((name for name in view.members if name.endswith("/data.pkl")), None)
    if pickle is not None and any(name.endswith("/constants.pkl") for name in view.members):
        return "TorchScript"
    if pickle is not None:
        return _weights(view.path, is_whole=_is_whole(view.path, pickle))
    if view.head.startswith(OLD_START, 2):
        return _weights(view.path, is_whole=_WHOLE in view.head)
    if view.ending == SAFETENSORS and view.head.startswith(b"{", 8):
        return _weights(view.path, is_whole=False)
    return None


def _is_whole(path: Path, pickle: str) -> bool:
    with open_zip(path) as archive, archive.open(pickle) as file:
        return _WHOLE in file.read(MAX_PICKLE_BYTES)


def _weights(path: Path, *, is_whole: bool) -> str:
    """Raises LoadError for weights that nothing says the module of."""
    folders = [path.parent] if version_of(path.parent.name) is None else [path.parent, path.parent.parent]
    if is_whole:
        return "whole module, pickled"
    if not any(_has_python(folder) for folder in folders):
        message = f"{path} holds weights without the model that they belong to"
        fix = (
            "Put the Python file with the nn.Module beside it, as model.py, or config.json and the tokenizer of a "
            "Hugging Face model; or save the model with `torch.export`."
        )
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix=fix)
    return "weights with their module"


def _has_python(folder: Path) -> bool:
    return any(entry.suffix == ".py" for entry in folder.iterdir())
