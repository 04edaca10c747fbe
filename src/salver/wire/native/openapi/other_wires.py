"""The prediction addresses of the other protocols, so that a model's page shows every way to call it."""

from __future__ import annotations

from urllib.parse import quote

from salver.types import PayloadKind, Signature, TensorSpec, VersionInfo
from salver.wire.native.openapi.parts import BINARY, Place, json_response, operation, wrapped
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


def openinference_path(info: VersionInfo, signature: Signature, place: Place) -> Schema:
    """The address of the Open Inference protocol; it knows no labels and no other signature than the default one."""
    is_body = info.payload is PayloadKind.BODY
    if place.label is not None or (info.signature() is None and not is_body):
        return {}
    path = f"/v2/models/{quote(place.model, safe='')}"
    if place.version is not None:
        path += f"/versions/{place.version}"
    inputs, outputs = (BODY, BODY) if is_body else (signature.inputs, signature.outputs)
    raw = {"application/octet-stream": {"schema": BINARY}}
    request = wrapped("inputs", {"type": "array", "items": {"anyOf": [v2_input(spec) for spec in inputs]}})
    answer = json_response("The outputs, each with its shape and its values in row-major order.", v2_answer(outputs))
    answer["content"] |= raw
    return {
        f"{path}/infer": operation(
            "predict_openinference",
            "Predict as clients of the Open Inference protocol (V2) do.",
            {"application/json": {"schema": request}, **raw},
            answer,
            json_response("The request failed.", wrapped("error", {"type": "string"})),
            "The protocol of Triton Inference Server, KServe and MLServer. Raw tensors may stand behind the JSON.",
        )
    }


BODY = (TensorSpec(name="body", datatype="BYTES", shape=(1,)),)


def v2_answer(outputs: tuple[TensorSpec, ...]) -> Schema:
    tensors: Schema = {"type": "array", "items": {"anyOf": [v2_output(spec) for spec in outputs]} if outputs else {}}
    text: Schema = {"type": "string"}
    properties: Schema = {"id": text, "model_name": text, "model_version": text, "outputs": tensors}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name != "id"],
    }


def v2_input(spec: TensorSpec) -> Schema:
    shape: Schema = {"type": "array", "minItems": len(spec.shape), "maxItems": len(spec.shape)}
    if spec.shape:
        shape["prefixItems"] = [{"type": "integer"} if size < 0 else {"const": size} for size in spec.shape]
    return v2_tensor(spec.name, {"const": spec.datatype}, shape)


def v2_output(spec: TensorSpec) -> Schema:
    """Its values, or as BYTES the highest of them with their places."""
    datatypes = sorted({spec.datatype, "BYTES"})
    return v2_tensor(spec.name, {"enum": datatypes}, {"type": "array", "items": {"type": "integer"}})


def v2_tensor(name: str, datatype: Schema, shape: Schema) -> Schema:
    """A named tensor; without `data` its values are raw bytes."""
    others: Schema = {"data": {"type": "array"}, "parameters": {"type": "object"}}
    properties: Schema = {"name": {"const": name}, "datatype": datatype, "shape": shape, **others}
    return {"type": "object", "properties": properties, "required": ["name", "datatype", "shape"]}
