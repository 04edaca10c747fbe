"""The older place of the function that sends intermediate answers."""

from salver_worker.shims.ts.handler_utils.utils import (
    send_intermediate_predict_response as send_intermediate_predict_response,
)
