"""A model's signatures as callers ask for them: by the model's own names, and the default one also without a name."""

from __future__ import annotations

from typing import Any, Dict, Mapping, NamedTuple, Tuple, cast

from salver_worker.conversions.plan import ConversionPlan
from salver_worker.host import Predictor
from salver_worker.inputs import DEFAULT_SIGNATURE
from salver_worker.predictors import SignaturePredictors, TensorPredictor
from salver_worker.runtimes.base import NamingModel, Signature, TensorModel


class Asked(NamedTuple):
    """What answers each signature.

    `whole` takes every frame. `unbatched` are the names whose requests may not be put together, where those of the
    default signature may.
    """

    whole: Predictor
    signatures: Mapping[str, Signature]
    predictors: Mapping[str, TensorPredictor]
    unbatched: Tuple[str, ...]
    signature_defs: Mapping[str, Any]


def bind(model: TensorModel, predictor: TensorPredictor, signature: Signature) -> Asked:
    """`predictor` is of the default signature, `signature` is what callers see of it.

    Conversions of the manifest are the default signature's; the others are asked as the model has them.
    """
    if not hasattr(model, "signatures"):
        return Asked(predictor, {DEFAULT_SIGNATURE: signature}, {DEFAULT_SIGNATURE: predictor}, (), {})
    named = cast(NamingModel, model)
    own_name = named.default_signature
    signatures: Dict[str, Signature] = {DEFAULT_SIGNATURE: signature, own_name: signature}
    predictors = {DEFAULT_SIGNATURE: predictor, own_name: predictor}
    unbatched = []
    for name, further in sorted(named.signatures.items()):
        further_plan = ConversionPlan.bind(further.signature, None, None, "")
        signatures[name] = further.signature
        predictors[name] = TensorPredictor(further, further_plan, (name,))
        if model.has_batch_dimension and not further.has_batch_dimension:
            unbatched.append(name)
    whole: Predictor = SignaturePredictors(predictors) if len(predictors) > 1 else predictor
    return Asked(whole, signatures, predictors, tuple(unbatched), _definitions(named, signature))


def _definitions(model: NamingModel, signature: Signature) -> Mapping[str, Any]:
    """What the model says of its signatures; nothing of the default one where callers see another."""
    definitions = dict(model.signature_defs)
    if model.default_signature in definitions and signature != model.signature:
        definitions[model.default_signature] = None
    return definitions
