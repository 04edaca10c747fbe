"""What services of MMS 0.4 descend from (mms/model_service/model_service.py). Needs no framework."""

from __future__ import annotations

import ast
import json
import os
from typing import Any, Dict, List, Mapping, Optional

from salver_worker.errors import InputError

JSON = "application/json"


class ModelService:
    """Reads the archive's signature, and finds the one input of a request by the name that it has there."""

    def __init__(self, model_name: str, model_dir: str, manifest: Dict[str, Any], gpu: Optional[int] = None) -> None:
        self.ctx: Any = None
        self._context: Any = None
        self._signature: Any = None

    def initialize(self, context: Any) -> None:
        self._context = context
        self._signature = read_signature(context.system_properties["model_dir"], context.manifest)

    def inference(self, data: List[Any]) -> Any:
        raise AttributeError("the service has no method `inference`")

    def ping(self) -> Any:
        return "healthy!"

    def signature(self) -> Any:
        return self._signature

    def handle(self, data: List[Mapping[str, Any]], context: Any) -> List[Any]:
        value = self._value(data[0])
        if self._signature["input_type"] == JSON and isinstance(value, (bytes, bytearray)):
            value = _literal(bytes(value))
        answer = self.inference([value])
        return answer if isinstance(answer, list) else [answer]

    def _value(self, parts: Mapping[str, Any]) -> Any:
        for name in (self._signature["inputs"][0]["data_name"], "body", "data"):
            if parts.get(name) is not None:
                return parts[name]
        return None


class SingleNodeService(ModelService):
    """A service in three steps."""

    def inference(self, data: List[Any]) -> Any:
        return self._postprocess(self._inference(self._preprocess(data)))

    def _preprocess(self, data: Any) -> Any:
        return data

    def _inference(self, data: Any) -> Any:
        return data

    def _postprocess(self, data: Any) -> Any:
        return data


def read_signature(folder: str, manifest: Mapping[str, Any]) -> Any:
    path = os.path.join(folder, os.path.basename(manifest["Model"].get("Signature") or "signature.json"))
    if not os.path.isfile(path):
        raise ValueError("Signature file is not found.")
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def _literal(raw: bytes) -> Any:
    """A Python literal, of which JSON without true, false and null is a part."""
    try:
        return ast.literal_eval(raw.decode())
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        try:
            return json.loads(raw)
        except (ValueError, RecursionError) as error:
            raise InputError("the input is not valid %s" % JSON) from error
