"""TensorFlow Serving's gRPC protocol: its two services, as rows."""

from __future__ import annotations

from collections.abc import Sequence

from salver.errors import SalverError
from salver.operations import models
from salver.operations.base import Answer
from salver.operations.methods import JoinedMethod, Method, OrdinaryMethod, PredictMethod
from salver.wire.tfserving.rpc.classify import TfClassifyCall, TfRegressCall, join_tasks, open_tasks
from salver.wire.tfserving.rpc.failures import failure
from salver.wire.tfserving.rpc.models import (
    model_failure,
    open_metadata,
    open_status,
    read_model,
    write_metadata,
    write_status,
)
from salver.wire.tfserving.rpc.predict import TfPredictCall
from salver.wire.tfserving.rpc.reload import open_reload, read_reload, reload_failure, write_reload

PREDICTION = "/tensorflow.serving.PredictionService/"
MODEL = "/tensorflow.serving.ModelService/"


class TfServingGrpcWire:
    """PredictionService and ModelService."""

    name = "tfserving"

    def __init__(self, *, max_body_bytes: int) -> None:
        """`max_body_bytes` bounds what a few bytes may ask for: equal values need not be sent."""
        self.methods: Sequence[Method] = (
            PredictMethod(
                path=f"{PREDICTION}Predict", open=lambda request: TfPredictCall(request.body, max_body_bytes)
            ),
            PredictMethod(path=f"{PREDICTION}Classify", open=lambda request: TfClassifyCall(request.body)),
            PredictMethod(path=f"{PREDICTION}Regress", open=lambda request: TfRegressCall(request.body)),
            JoinedMethod(
                path=f"{PREDICTION}MultiInference", open=lambda request: open_tasks(request.body), join=join_tasks
            ),
            OrdinaryMethod(
                path=f"{PREDICTION}GetModelMetadata",
                operation=models.GET.name,
                open=lambda request: open_metadata(request.body),
                read=read_model,
                write=write_metadata,
                model=lambda address: address.model,
                error=model_failure,
            ),
            OrdinaryMethod(
                path=f"{MODEL}GetModelStatus",
                operation=models.GET.name,
                open=lambda request: open_status(request.body),
                read=read_model,
                write=write_status,
                model=lambda address: address.model,
                error=model_failure,
            ),
            OrdinaryMethod(
                path=f"{MODEL}HandleReloadConfigRequest",
                operation=models.CONFIGURE.name,
                open=lambda request: open_reload(request.body),
                read=read_reload,
                write=write_reload,
                error=reload_failure,
            ),
        )

    def error(self, error: SalverError) -> Answer:
        return failure(error)
