"""ONNX files, in both of their forms."""

from __future__ import annotations

from salver.errors import Code, LoadError
from salver.models.onnxfile import read_outline
from salver.models.protofields import CutShort
from salver.models.recognising.base import FileView, Recognition


def recognise_onnx(view: FileView, _function: str | None) -> Recognition | None:
    if view.head.startswith(b"ORTM", 4):
        return Recognition(runtime="onnx", artifact=view.path, trust="data", label="ONNX model (ORT format)")
    try:
        with view.path.open("rb") as file:
            outline = read_outline(file, view.size)
    except CutShort as error:
        if view.ending != ".onnx":
            return None
        message = f"{view.path} is an ONNX model that is cut short: it has {view.size} bytes and needs more"
        raise LoadError(Code.FORMAT_UNKNOWN, message, fix="Copy the file again.") from error
    if outline is None:
        return None
    return Recognition(runtime="onnx", artifact=view.path, trust="data", label=outline.label)
