"""From a LOAD header to a model that has answered its example, and the READY header that describes it."""

from __future__ import annotations

import importlib
import platform
import sys
import time
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union, cast

import numpy as np

from salver_worker import example, frames
from salver_worker.activity import resident_bytes
from salver_worker.arrays import NUMPY_TYPES, datatype_of
from salver_worker.conversions.plan import ConversionPlan
from salver_worker.declared import hold_to, renaming
from salver_worker.failures import LoadFailure, describe
from salver_worker.host import Predictor
from salver_worker.inputs import DEFAULT_SIGNATURE, DEFAULT_SIGNATURES
from salver_worker.predictors import BodyPredictor, PartsPredictor, TensorPredictor
from salver_worker.recording import recorded
from salver_worker.runtimes.base import (
    Arrays,
    BodyModel,
    LoadRequest,
    Model,
    PartsModel,
    SelectiveModel,
    Signature,
    TensorModel,
    tensor,
)
from salver_worker.runtimes.options import check_options
from salver_worker.runtimes.specs import SPECS, RuntimeSpec, spec_named
from salver_worker.signatures import bind
from salver_worker.tfrecords.replay import replay
from salver_worker.warmup import warm_up


class Loaded(NamedTuple):
    model: Model
    predictor: Predictor
    ready: Dict[str, Any]


class Check(NamedTuple):
    """What came out of running the model once: its callers' signatures, how long its example took, and its answer.

    `unbatched` are the signatures whose requests may not be put together, where those of the default one may.
    """

    predictor: Predictor
    signatures: Mapping[str, Signature]
    example_s: Optional[float]
    answer: Optional[Union[Arrays, str]] = None
    unbatched: Sequence[str] = ()
    signature_defs: Mapping[str, Any] = {}


def load(header: Mapping[str, Any]) -> Loaded:
    """Load the model that LOAD names. Raises LoadFailure, ConversionError, or whatever the model's own code raises."""
    if header.get("protocol") != frames.PROTOCOL_VERSION:
        raise LoadFailure(
            "the server speaks protocol %r and this worker %d" % (header.get("protocol"), frames.PROTOCOL_VERSION),
            code="ENVIRONMENT_BROKEN",
            fix="Give the worker's interpreter the salver_worker package of the server.",
        )
    spec = _spec(header.get("runtime", ""))
    request = _request(header)
    check_options(spec, request.manifest)
    started = time.monotonic()
    model: Model = importlib.import_module(spec.module).load(request)
    load_s = time.monotonic() - started
    check = _check_body(model, request) if model.payload == "body" else _check_tensors(model, request, spec)
    ready = _ready(model, spec, request, check, load_s)
    if (header.get("options") or {}).get("record_example"):
        ready["example_answer"] = None if check.answer is None else recorded(check.answer)
    return Loaded(model, check.predictor, ready)


def _spec(name: str) -> RuntimeSpec:
    spec = spec_named(name)
    if spec is None:
        message = "there is no runtime %r; there are: %s" % (name, ", ".join(row.name for row in SPECS))
        raise LoadFailure(message, code="MANIFEST_INVALID", where=["runtime"])
    if not spec.module:
        raise LoadFailure("a model of the runtime %s is a program of its own" % name, code="MANIFEST_INVALID")
    return spec


def _request(header: Mapping[str, Any]) -> LoadRequest:
    options = header.get("options") or {}
    return LoadRequest(
        model=header["model"],
        version=header["version"],
        path=header["path"],
        folder=header["folder"],
        manifest=header.get("manifest") or {},
        threads=options.get("threads") or 1,
        batch_rows=header.get("batch_rows") or 1,
        warm_up_rounds=options.get("warm_up_rounds", 1),
    )


def _check_body(model: Model, request: LoadRequest) -> Check:
    for key in ("inputs", "outputs"):
        if request.manifest.get(key):
            message = "a handler converts its own %s; [[%s]] has no meaning for it" % (key, key)
            raise LoadFailure(message, code="MANIFEST_INVALID", where=[key], fix="Remove it from model.toml.")
    body_model = cast(BodyModel, model)
    started = time.monotonic()
    wanted = request.manifest.get("example")
    answer = None
    if wanted:
        answer = example.run_body(wanted, request.folder, body_model)
    example_s = time.monotonic() - started if wanted else None
    warm_up(
        request.folder,
        lambda recorded: example.run_body(recorded, request.folder, body_model),
        request.warm_up_rounds,
    )
    return Check(BodyPredictor(body_model), {DEFAULT_SIGNATURE: model.signature}, example_s, answer)


def _check_tensors(model: Model, request: LoadRequest, spec: RuntimeSpec) -> Check:
    tensor_model = cast(TensorModel, model)
    manifest = request.manifest
    inputs, outputs = manifest.get("inputs") or [], manifest.get("outputs") or []
    declared = manifest.get("declared")
    if declared:
        hold_to(declared, model)
        outputs = outputs or renaming(declared, model.signature)
    plan = ConversionPlan.bind(model.signature, inputs, outputs, request.folder)
    if plan.unread and hasattr(model, "leave_out"):
        cast(SelectiveModel, model).leave_out(plan.unread)
        plan = ConversionPlan.bind(model.signature, inputs, outputs, request.folder)
    names = (*DEFAULT_SIGNATURES, getattr(model, "default_signature", DEFAULT_SIGNATURE))
    predictor = TensorPredictor(tensor_model, plan, names)
    if hasattr(model, "predict_parts"):
        predictor = PartsPredictor(cast(PartsModel, model), plan, names)
    signature, example_s, answer = _check_example(model, request, spec, plan, predictor)
    asked = bind(tensor_model, predictor, signature)

    def run(recorded: Mapping[str, Any]) -> object:
        name = recorded.get("signature", DEFAULT_SIGNATURE)
        return example.run_tensors(recorded, asked.signatures[name], request.folder, asked.predictors[name].rehearse)

    warm_up(request.folder, run, request.warm_up_rounds)
    replay(request.path, {**asked.signatures, DEFAULT_SIGNATURE: plan.signature}, run, request.warm_up_rounds)
    return Check(asked.whole, asked.signatures, example_s, answer, asked.unbatched, asked.signature_defs)


def _check_example(
    model: Model, request: LoadRequest, spec: RuntimeSpec, plan: ConversionPlan, predictor: TensorPredictor
) -> Tuple[Signature, Optional[float], Optional[Arrays]]:
    """The callers' signature, how long the example took, and its answer."""
    wanted = request.manifest.get("example")
    if not wanted:
        if spec.trust == "data":
            _run_zeros(cast(TensorModel, model))
        return plan.signature, None, None
    started = time.monotonic()
    answer = example.run_tensors(wanted, plan.signature, request.folder, predictor.rehearse)
    example_s = time.monotonic() - started
    signature = plan.signature if plan.signature["outputs"] else _learned(plan.signature, answer, model)
    return signature, example_s, answer


def _learned(signature: Signature, answer: Arrays, model: Model) -> Signature:
    """The signature with outputs as the example's answer showed them; they stay a description and bind nothing."""
    outputs = []
    for name, array in answer.items():
        shape = list(array.shape)
        if model.has_batch_dimension and shape:
            shape[0] = -1
        outputs.append(tensor(name, datatype_of(array) or "BYTES", shape))
    return {**signature, "outputs": outputs}


def _run_zeros(model: TensorModel) -> None:
    """Run one row of zeros where every other dimension is known: the first caller must not pay for the first run."""
    inputs = {}
    for spec in model.signature["inputs"]:
        shape = [1, *spec["shape"][1:]] if spec["shape"][:1] == [-1] else spec["shape"]
        if -1 in shape or spec["datatype"] not in NUMPY_TYPES or spec.get("has_rank") is False:
            return
        inputs[spec["name"]] = np.zeros(shape, NUMPY_TYPES[spec["datatype"]])
    try:
        model.predict(inputs, {})
    except Exception as error:  # noqa: BLE001  zeros may mean nothing to a model; its callers are not concerned
        print("salver_worker: warming up with zeros failed: %s" % describe(error), file=sys.stderr)


def _ready(model: Model, spec: RuntimeSpec, request: LoadRequest, check: Check, load_s: float) -> Dict[str, Any]:
    is_idempotent = request.manifest.get("idempotent")
    ready = {
        "signatures": dict(check.signatures),
        "payload": model.payload,
        "runtime_version": model.runtime_version,
        "python": platform.python_version(),
        "has_batch_dimension": model.has_batch_dimension,
        "is_idempotent": spec.is_idempotent if is_idempotent is None else is_idempotent,
        "gives_parts": hasattr(model, "predict_parts"),
        "rss": resident_bytes(),
        "load_s": round(load_s, 6),
        "example_s": None if check.example_s is None else round(check.example_s, 6),
        "details": model.details,
    }
    if check.unbatched:
        ready["unbatched"] = list(check.unbatched)
    if check.signature_defs:
        ready["signature_defs"] = dict(check.signature_defs)
    return ready
