"""Commands that call a model and work when pasted into a shell, one for each wire. Pure."""

from __future__ import annotations

import json
import mimetypes
import shlex
from base64 import b64encode
from collections.abc import Sequence
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

import msgspec

from salver.events import Address
from salver.types import DEFAULT_SIGNATURE, PayloadKind, Signature, TensorSpec, VersionInfo, nested_list_shape
from salver.wire.native.openapi.schemas import example_file, example_inputs, has_rows

JSON_HEADER = ("-H", "Content-Type: application/json")
KEY_HEADER = '-H "Authorization: Bearer $SALVER_KEY"'
FILE_INPUTS = ("body", "data", "file")
"""Names under which inputs of bytes are files, as are all names with `image` in them."""
ANY_IMAGE = "image.jpg"
ANY_FILE = "request.bin"


class CurlCommand(msgspec.Struct, frozen=True):
    """One command, and the wire it speaks."""

    wire: str
    text: str


class _Target(msgspec.Struct, frozen=True, kw_only=True):
    """One version at one address, with what its caller sends: nested values by name, or a file's path."""

    url: str
    info: VersionInfo
    signature: Signature
    values: dict[str, Any] | None
    file: str | None
    options: str

    def curl(self, path: str, *arguments: str) -> str:
        return shlex.join(["curl", self.url + path, *arguments]) + self.options


def curl_commands(
    info: VersionInfo, addresses: Sequence[Address], folder: PurePath, *, needs_key: bool = False
) -> tuple[CurlCommand, ...]:
    """One command for each wire that can carry the model's payload; `folder` is where its example's file is."""
    signature = info.signature() or next(iter(info.signatures.values()), Signature(inputs=(), outputs=()))
    file = _file(info, signature, folder)
    commands = []
    for wire, build in _BUILDERS.items():
        url = next((each.url for each in addresses if wire in each.wires and each.url.startswith("http")), None)
        if url is None or not _can_carry(wire, info, signature, file):
            continue
        target = _Target(
            url=url,
            info=info,
            signature=signature,
            values=None if file is not None else example_inputs(signature, info.example),
            file=file,
            options=f" {KEY_HEADER}" if needs_key else "",
        )
        commands.append(CurlCommand(wire, build(target)))
    return tuple(commands)


def _native(target: _Target) -> str:
    path = f"/api/v1/models/{quote(target.info.id.model, safe='')}/predict"
    if target.file is not None:
        return target.curl(
            path, "-H", f"Content-Type: {_content_type(target.file)}", "--data-binary", f"@{target.file}"
        )
    return _json_call(target, path, "inputs", _by_name(target))


def _tfserving(target: _Target) -> str:
    path = f"/v1/models/{quote(target.info.id.model, safe='')}:predict"
    call = target.curl(path, *JSON_HEADER, "--data", "@-")
    if target.file is not None:
        encode = f"base64 < {shlex.quote(target.file)} | tr -d '\\n'"
        return f"""{{ printf '{{"instances": [{{"b64": "'; {encode}; printf '"}}]}}'; }} | {call}"""
    if has_rows(target.signature) and _are_rows(target.values):
        return _json_call(target, path, "instances", _rows(target))
    return _json_call(target, path, "inputs", _by_name(target))


def _mms(target: _Target) -> str:
    path = f"/predictions/{quote(target.info.id.model, safe='')}"
    if target.file is not None:
        return target.curl(path, "-X", "POST", "-T", target.file)
    return _json_call(target, path, "inputs", _by_name(target))


def _openinference(target: _Target) -> str:
    """A file is the only input's one element, without JSON around it."""
    path = f"/v2/models/{quote(target.info.id.model, safe='')}/infer"
    if target.file is not None:
        return target.curl(path, "-H", "Inference-Header-Content-Length: 0", "--data-binary", f"@{target.file}")
    return _json_call(target, path, "inputs", _tensors(target))


_BUILDERS = {"native": _native, "tfserving": _tfserving, "mms": _mms, "openinference": _openinference}


def _can_carry(wire: str, info: VersionInfo, signature: Signature, file: str | None) -> bool:
    """Whether a protocol has a form for what the model takes."""
    if wire == "tfserving":
        return info.payload is not PayloadKind.BODY
    if wire != "openinference" or file is not None:
        return True
    are_plain = all(spec.datatype not in ("FP16", "BF16") for spec in signature.inputs)
    return are_plain and info.payload is not PayloadKind.BODY and DEFAULT_SIGNATURE in info.signatures


def _json_call(target: _Target, path: str, key: str, body: _Values) -> str:
    """Values that are short enough stand in the command; many zeros are written by a line of Python."""
    if body.is_short:
        return target.curl(path, *JSON_HEADER, "--data", f'{{"{key}": {body.text}}}')
    program = f'import json; print(json.dumps({{"{key}": {body.text}}}))'
    return f"python3 -c {shlex.quote(program)} | {target.curl(path, *JSON_HEADER, '--data', '@-')}"


class _Values(msgspec.Struct, frozen=True):
    """Values as JSON text when short, else as a Python expression that makes them."""

    text: str
    is_short: bool


def _by_name(target: _Target) -> _Values:
    if target.values is not None:
        return _Values(json.dumps(target.values), is_short=True)
    return _Values(_object(target.signature.inputs, first=0), is_short=False)


def _tensors(target: _Target) -> _Values:
    """A list of named tensors with their shapes."""
    specs = target.signature.inputs
    if target.values is None:
        return _Values(f"[{', '.join(_tensor(spec) for spec in specs)}]", is_short=False)
    tensors = [_given_tensor(spec, target.values[spec.name]) for spec in specs]
    return _Values(json.dumps(tensors), is_short=True)


def _tensor(spec: TensorSpec) -> str:
    """A Python expression for a tensor of zeros; any nesting of its values will do."""
    head = json.dumps({"name": spec.name, "datatype": spec.datatype, "shape": [max(size, 1) for size in spec.shape]})
    return f'{head[:-1]}, "data": [{_zeros(spec, first=0)}]}}'


def _given_tensor(spec: TensorSpec, values: Any) -> dict[str, Any]:
    """A single row may stand there without the dimension that counts rows."""
    shape = nested_list_shape(values)
    shape = (1,) * (len(spec.shape) - len(shape)) + shape
    tensor: dict[str, Any] = {"name": spec.name, "datatype": spec.datatype, "shape": list(shape)}
    data = values if isinstance(values, list) else [values]
    if '{"b64": ' in json.dumps(data):
        return {**tensor, "parameters": {"content_type": "base64"}, "data": _as_base64(data)}
    return {**tensor, "data": data}


def _as_base64(values: Any) -> Any:
    if isinstance(values, list):
        return [_as_base64(value) for value in values]
    return values["b64"] if isinstance(values, dict) else b64encode(values.encode()).decode()


def _rows(target: _Target) -> _Values:
    """Rows as TensorFlow Serving's clients write them: the only input's values bare, several by name."""
    names = [spec.name for spec in target.signature.inputs]
    if target.values is None:
        specs = target.signature.inputs
        return _Values(f"[{_zeros(specs[0], first=1) if len(specs) == 1 else _object(specs, first=1)}]", is_short=False)
    if len(names) == 1:
        return _Values(json.dumps(target.values[names[0]]), is_short=True)
    columns = zip(*(target.values[name] for name in names), strict=False)
    return _Values(json.dumps([dict(zip(names, row, strict=True)) for row in columns]), is_short=True)


def _are_rows(values: dict[str, Any] | None) -> bool:
    return values is None or all(isinstance(value, list) for value in values.values())


def _object(specs: Sequence[TensorSpec], *, first: int) -> str:
    return "{" + ", ".join(f"{json.dumps(spec.name)}: {_zeros(spec, first=first)}" for spec in specs) + "}"


def _zeros(spec: TensorSpec, *, first: int) -> str:
    """A Python expression for nested lists of the spec's shape from dimension `first` on; free dimensions are 1."""
    zero = {"BYTES": '"text"', "BOOL": "False"}.get(spec.datatype, "0")
    for size in reversed(spec.shape[first:]):
        zero = f"[{zero}]" if size in (-1, 1) else f"[{zero}] * {size}"
    return zero


def _file(info: VersionInfo, signature: Signature, folder: PurePath) -> str | None:
    """The file to send: the example's own, else any file where the only input is one."""
    name = example_file(info.example)
    if name is not None:
        return str(folder / name)
    if info.example is None and info.payload is PayloadKind.BODY:
        return ANY_FILE
    if info.example is None and [spec.datatype for spec in signature.inputs] == ["BYTES"]:
        (spec,) = signature.inputs
        if "image" in spec.name or spec.name in FILE_INPUTS:
            return ANY_IMAGE
    return None


def _content_type(file: str) -> str:
    return mimetypes.guess_type(file)[0] or "application/octet-stream"
