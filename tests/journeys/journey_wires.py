"""The protocols as a client sees them: where to ask for a prediction, what to send, where the answer is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import requests


class Wire(NamedTuple):
    """One protocol. `body` makes the JSON of one row; `row` finds that row's outputs in the answer."""

    name: str
    path: str
    body: Callable[[dict[str, Any]], Any]
    row: Callable[[Any], Any]
    error_code: Callable[[Any], str]
    """What an answer that is an error says of its case; must be there whatever went wrong."""

    def address(self, model: str) -> str:
        return self.path.format(model=model)

    def ask(self, url: str, model: str, values: dict[str, Any], **options: Any) -> requests.Response:
        return requests.post(url + self.address(model), json=self.body(values), timeout=30, **options)


NATIVE = Wire(
    "native",
    "/api/v1/models/{model}/predict",
    lambda values: {"inputs": {name: [value] for name, value in values.items()}},
    lambda document: {name: rows[0] for name, rows in document["outputs"].items()},
    lambda document: str(document["error"]["code"]),
)
TFSERVING = Wire(
    "tfserving",
    "/v1/models/{model}:predict",
    lambda values: {"instances": [values]},
    lambda document: document["predictions"][0],
    lambda document: str(document["error"]),
)
MMS = Wire(
    "mms",
    "/predictions/{model}",
    lambda values: {"inputs": {name: [value] for name, value in values.items()}},
    lambda document: document,
    lambda document: str(document["type"]),
)
OPENINFERENCE = Wire(
    "openinference",
    "/v2/models/{model}/infer",
    lambda values: {
        "inputs": [
            {"name": name, "datatype": "FP32", "shape": [1, len(value)], "data": value}
            for name, value in values.items()
        ]
    },
    lambda document: {output["name"]: output["data"] for output in document["outputs"]},
    lambda document: str(document["error"]),
)
"""Its requests name datatypes: this one is for vectors of FP32."""
WIRES = (NATIVE, TFSERVING, MMS)
"""Those that ask any model in the same way."""
