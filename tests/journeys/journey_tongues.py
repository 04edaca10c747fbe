"""One prediction said in each protocol: what goes over the line, and what of the answer is the same in all of them.

A protocol is one row of TONGUES. What it cannot say at all (a label in Open Inference) its `send` answers with None.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import requests

HOLE = "@@"
"""A value that `splice` takes the place of, in the body's text: what no writer of JSON would write."""
NUMBERS = {
    "BOOL": "?", "INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q", "UINT8": "B", "UINT16": "H", "UINT32": "I",
    "UINT64": "Q", "FP32": "f", "FP64": "d",
}  # fmt: skip


class Ask(NamedTuple):
    """A prediction to be asked for: inputs as datatype and nested values, rows first."""

    model: str
    inputs: Mapping[str, tuple[str, Any]]
    version: int | None = None
    label: str | None = None
    splice: str | None = None

    def spliced(self, text: str) -> str:
        """JSON with what is spliced in, where the hole is."""
        return text if self.splice is None else text.replace(f'"{HOLE}"', self.splice)


class Said(NamedTuple):
    """What came back: outputs as nested values, or the words of an error."""

    status: int
    outputs: dict[str, Any] | None
    words: str


class Tongue(NamedTuple):
    """One protocol. `wire` is its name in metrics."""

    name: str
    wire: str
    send: Callable[[str, Ask], Said | None]
    is_grpc: bool = False


def shape_of(values: Any) -> list[int]:
    shape = []
    while isinstance(values, list):
        shape.append(len(values))
        values = values[0] if values else None
    return shape


def flat(values: Any) -> list[Any]:
    return [leaf for each in values for leaf in flat(each)] if isinstance(values, list) else [values]


def nested(values: list[Any], shape: list[int]) -> Any:
    if len(shape) < 2:
        return list(values)
    size = len(values) // shape[0] if shape[0] else 0
    return [nested(values[at * size : (at + 1) * size], shape[1:]) for at in range(shape[0])]


def posted(url: str, document: Any, ask: Ask, read: Callable[[Any], dict[str, Any]], word: str) -> Said:
    """A body of JSON, and an answer of JSON whose errors have their words under `word`."""
    body = ask.spliced(json.dumps(document))
    answer = requests.post(url, data=body.encode(), headers={"Content-Type": "application/json"}, timeout=60)
    return heard(answer, lambda: read(answer.json()), word)


def heard(answer: requests.Response, read: Callable[[], dict[str, Any]], word: str) -> Said:
    if answer.status_code == 200:
        return Said(200, read(), "")
    words = ""
    if answer.content:
        document = answer.json()
        found = document.get(
            word, document.get("error")
        )  # the HTTP edge, which knows no protocol, has a form of its own
        words = found if isinstance(found, str) else found["message"]
    return Said(answer.status_code, None, words)


def place(ask: Ask, versions: str, labels: str) -> str:
    if ask.version is not None:
        return versions.format(ask.version)
    return labels.format(ask.label) if ask.label is not None else ""


# The protocols


def native(url: str, ask: Ask) -> Said:
    where = place(ask, "/versions/{}", "/labels/{}")
    document = {"inputs": {name: values for name, (_, values) in ask.inputs.items()}}
    return posted(f"{url}/api/v1/models/{ask.model}{where}/predict", document, ask, lambda got: got["outputs"], "error")


def tfserving_columns(url: str, ask: Ask) -> Said:
    where = place(ask, "/versions/{}", "/labels/{}")

    def read(got: Any) -> dict[str, Any]:
        outputs = got["outputs"]
        return outputs if isinstance(outputs, dict) else {"": outputs}

    document = {"inputs": {name: values for name, (_, values) in ask.inputs.items()}}
    return posted(f"{url}/v1/models/{ask.model}{where}:predict", document, ask, read, "error")


def tfserving_rows(url: str, ask: Ask) -> Said:
    where = place(ask, "/versions/{}", "/labels/{}")
    columns = {name: values for name, (_, values) in ask.inputs.items()}
    count = max(len(values) for values in columns.values())
    rows = [{name: values[at] for name, values in columns.items() if at < len(values)} for at in range(count)]

    def read(got: Any) -> dict[str, Any]:
        predictions = got["predictions"]
        return {name: [row[name] for row in predictions] for name in predictions[0]}

    return posted(f"{url}/v1/models/{ask.model}{where}:predict", {"instances": rows}, ask, read, "error")


def mms(url: str, ask: Ask) -> Said | None:
    if ask.label is not None:
        return None
    document = {"inputs": {name: values for name, (_, values) in ask.inputs.items()}}

    def read(got: Any) -> dict[str, Any]:
        rows = got if isinstance(got, list) else [got]
        return {name: [row[name] for row in rows] for name in rows[0]}

    return posted(f"{url}/predictions/{ask.model}{place(ask, '/{}', '')}", document, ask, read, "message")


def openinference_json(url: str, ask: Ask) -> Said | None:
    if ask.label is not None or has_base64(ask):
        return None
    tensors = [
        {"name": name, "datatype": datatype, "shape": shape_of(values), "data": values}
        for name, (datatype, values) in ask.inputs.items()
    ]
    return posted(infer_address(url, ask), {"inputs": tensors}, ask, lambda got: read_tensors(got, b""), "error")


def openinference_binary(url: str, ask: Ask) -> Said | None:
    """Raw values cannot be ragged, nor NaN in JSON, nor nested."""
    if ask.label is not None or ask.splice is not None or is_ragged(ask) or has_base64(ask):
        return None
    parts = [raw(datatype, flat(values)) for datatype, values in ask.inputs.values()]
    tensors = [
        {"name": name, "datatype": datatype, "shape": shape_of(values), "parameters": {"binary_data_size": len(part)}}
        for (name, (datatype, values)), part in zip(ask.inputs.items(), parts, strict=True)
    ]
    head = json.dumps({"inputs": tensors, "parameters": {"binary_data_output": True}}).encode()
    headers = {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"}
    answer = requests.post(infer_address(url, ask), data=head + b"".join(parts), headers=headers, timeout=60)

    def read() -> dict[str, Any]:
        size = int(answer.headers["Inference-Header-Content-Length"])
        return read_tensors(json.loads(answer.content[:size]), answer.content[size:])

    return heard(answer, read, "error")


def infer_address(url: str, ask: Ask) -> str:
    return f"{url}/v2/models/{ask.model}{place(ask, '/versions/{}', '')}/infer"


def has_base64(ask: Ask) -> bool:
    return any(isinstance(leaf, dict) for _, values in ask.inputs.values() for leaf in flat(values))


def is_ragged(ask: Ask) -> bool:
    return any(len(flat(values)) != _count(shape_of(values)) for _, values in ask.inputs.values())


def _count(shape: list[int]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def raw(datatype: str, values: list[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{NUMBERS[datatype]}", *values)


def read_tensors(got: Any, rest: bytes) -> dict[str, Any]:
    outputs = {}
    for tensor in got["outputs"]:
        values = tensor.get("data")
        if values is None:
            size = tensor["parameters"]["binary_data_size"]
            values, rest = unpacked(tensor["datatype"], rest[:size]), rest[size:]
        outputs[tensor["name"]] = nested(values, tensor["shape"])
    return outputs


def unpacked(datatype: str, data: bytes) -> list[Any]:
    if datatype != "BYTES":
        return [value for (value,) in struct.iter_unpack(f"<{NUMBERS[datatype]}", data)]
    values = []
    while data:
        (size,) = struct.unpack_from("<I", data)
        values.append(data[4 : 4 + size].decode())
        data = data[4 + size :]
    return values


TONGUES = (
    Tongue("native", "native", native),
    Tongue("tfserving, columns", "tfserving", tfserving_columns),
    Tongue("tfserving, rows", "tfserving", tfserving_rows),
    Tongue("openinference, JSON", "openinference", openinference_json),
    Tongue("openinference, binary", "openinference", openinference_binary),
    Tongue("mms", "mms", mms),
)
"""A protocol that is added is a row here, and all of the cases are asked over it."""
