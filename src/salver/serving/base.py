"""The settings of the prediction path."""

from __future__ import annotations

from typing import Annotated

import msgspec


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How predictions are queued, put together and bounded; a model's own model.toml wins."""

    deadline_s: Annotated[float, msgspec.Meta(gt=0)] = 30.0
    """Time a request may take from its arrival, unless the request or the model says otherwise."""
    max_batch_rows: Annotated[int, msgspec.Meta(ge=1)] = 64
    """Most rows given to a model at once."""
    max_batch_delay_ms: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """How long a free replica waits for more rows; 0 never waits, and a burst fills batches by itself."""
    max_queue_rows: Annotated[int, msgspec.Meta(ge=1)] = 4096
    """Most rows waiting for one version; more are refused with 503 and Retry-After."""
