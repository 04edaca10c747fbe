"""The prediction addresses of the other protocols, so that a model's page shows every way to call it."""

from __future__ import annotations

from urllib.parse import quote

from salver.types import PayloadKind, Signature, VersionInfo
from salver.wire.native.openapi.parts import Place, json_response, operation, wrapped
from salver.wire.native.openapi.schemas import Schema, has_rows, inputs_schema, named_schema, rows_schema, tensor_schema


def tfserving_path(info: VersionInfo, signature: Signature, place: Place) -> Schema:
    """The address that TensorFlow Serving's clients use; it has no form for bodies."""
    if info.payload is PayloadKind.BODY:
        return {}
    path = f"/v1/models/{quote(place.model, safe='')}"
    if place.version is not None:
        path += f"/versions/{place.version}"
    elif place.label is not None:
        path += f"/labels/{quote(place.label, safe='')}"
    forms = [wrapped("inputs", inputs_schema(signature))]
    answers = [wrapped("outputs", tfserving_outputs(signature, is_row=False))]
    if has_rows(signature):
        forms.append(wrapped("instances", rows_schema(signature)))
        rows = {"type": "array", "items": tfserving_outputs(signature, is_row=True)}
        answers.append(wrapped("predictions", rows))
    return {
        f"{path}:predict": operation(
            "predict_tfserving",
            "Predict as TensorFlow Serving's REST clients do.",
            {"application/json": {"schema": {"anyOf": forms}}},
            json_response("`predictions` to `instances`, `outputs` to `inputs`.", {"anyOf": answers}),
            json_response("The request failed.", wrapped("error", {"type": "string"})),
            "The protocol of TensorFlow Serving's REST API.",
        )
    }


def tfserving_outputs(signature: Signature, *, is_row: bool) -> Schema:
    """Its answers leave the name of an only output out."""
    if len(signature.outputs) == 1:
        return tensor_schema(signature.outputs[0], is_output=True, is_row=is_row)
    return named_schema(signature.outputs, is_output=True, is_row=is_row)


def mms_path(place: Place, content: Schema) -> Schema:
    """The address that MXNet Model Server's clients use; they name no version. `content` is what the model takes."""
    if place.version is not None or place.label is not None:
        return {}
    failure: Schema = {
        "type": "object",
        "properties": {"code": {"type": "integer"}, "type": {"type": "string"}, "message": {"type": "string"}},
        "required": ["code", "type", "message"],
    }
    return {
        f"/predictions/{quote(place.model, safe='')}": operation(
            "predict_mms",
            "Predict as clients of MXNet Model Server do.",
            content,
            {"description": "The model's answer.", "content": {"*/*": {}}},
            json_response("The request failed.", failure),
            "The protocol of MXNet Model Server's inference API.",
        )
    }
