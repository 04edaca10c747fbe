"""What handlers of TorchServe send intermediate answers with."""

from __future__ import annotations

import os
from typing import Any, Mapping, Sequence

from salver_worker.runtimes.context import Context


def send_intermediate_predict_response(
    ret: Sequence[Any],
    req_id_map: Mapping[int, str],
    message: str,  # noqa: ARG001  the original's
    code: int,  # noqa: ARG001
    context: Context,
) -> None:
    """Send `ret[idx]` to the request of each `idx` in `req_id_map`, as part of its answer.

    As in the original, `message` and `code` reach nobody: status and headers are what the context says of the request.
    Of several processes for one model, the first one sends.
    """
    if os.environ.get("LOCAL_RANK", "0") != "0":
        return
    for idx in req_id_map:
        context.send_part(idx, ret[idx])
