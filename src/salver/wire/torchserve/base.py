"""The settings of these protocols."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec


class TorchServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the protocols of MXNet Model Server and TorchServe answer where the two differ, and what they allow."""

    dialect: Literal["mms", "torchserve"] = "mms"
    """Which of the two servers the addresses of both behave like: mms, torchserve."""
    token_authorization: bool = False
    """Ask callers of these protocols for a key of `token_file`, as TorchServe does."""
    token_file: str = ""
    """File that the keys are written to; empty is `key_file.json` in `data_dir`."""
    token_expiration_min: Annotated[float, msgspec.Meta(gt=0)] = 60.0
    """Minutes that such a key is good for."""
    model_control: Literal["explicit", "none"] = "explicit"
    """Whether models may be registered and removed over the management API: explicit, or none, which answers 405."""
    default_workers_per_model: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Replicas of a model that is registered without a number of workers; 0 registers it without any."""
    decode_input_request: bool = True
    """Give handlers JSON and text decoded; otherwise every part is bytes."""
    default_service_handler: str = ""
    """Handler of archives that name none, and of registrations that name none: `module:function`."""
    service_envelope: Literal["none", "body", "json", "kserve", "kservev2"] = "none"
    """What TorchServe's handlers have their requests unpacked from and their answers packed into, unless the archive
    says otherwise."""
    handler_metrics: Literal["log", "prometheus", "legacy"] = "log"
    """Where the metrics of handlers go: log, prometheus (the metrics API as well), legacy (log, by their old names)."""
    metrics_config: str = ""
    """TorchServe's metrics.yaml: which metrics of handlers are shown, and of what type; empty: all, as they come."""
    workflow_store: str = ""
    """Folder from which workflows may be registered by name; empty is `model_store`."""
    ts_open_inference_protocol: bool = False
    """Answer the addresses of the Open Inference protocol, and its service over gRPC in TorchServe's package, the way
    TorchServe does with its switch of this name."""
