"""Models of MXNet: a symbol, and the parameters beside it."""

from __future__ import annotations

import re

from salver.errors import Code, LoadError
from salver.models.recognising.base import FileView, Recognition
from salver_worker.runtimes.specs import MXNET

SYMBOL_ENDING = MXNET.extensions[0]
PARAMETERS_ENDING = ".params"
_KEYS = re.compile(rb'"(?:nodes|arg_nodes|heads)"\s*:')
_END_BYTES = 64 * 1024


def recognise_mxnet(view: FileView, _function: str | None) -> Recognition | None:
    """The symbol is the model. Raises LoadError where no parameters lie beside it."""
    if not _is_symbol(view):
        return None
    if not any(path.suffix == PARAMETERS_ENDING for path in view.path.parent.iterdir()):
        message = f"{view.path} is the symbol of an MXNet model, and its parameters are not beside it"
        name = view.path.name.removesuffix(SYMBOL_ENDING).removesuffix(".json")
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix=f"Put {name}-0000.params into the same folder.")
    return Recognition(runtime="mxnet", artifact=view.path, trust="data", label="MXNet model")


def _is_symbol(view: FileView) -> bool:
    """The start names the nodes, the end the heads: between them are all operators."""
    if not re.match(rb'\s*\{\s*"nodes"\s*:\s*\[', view.head):
        return False
    with view.path.open("rb") as file:
        file.seek(max(0, view.size - _END_BYTES))
        return {b"arg_nodes", b"heads"} <= {found.split(b'"')[1] for found in _KEYS.findall(file.read())}
