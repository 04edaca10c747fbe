"""The configuration that both servers have built in for Amazon SageMaker, by the variables that it sets. Pure."""

from __future__ import annotations

SAGEMAKER_CONFIG = """\
model_store=$$SAGEMAKER_MODEL_STORE$$
inference_address=http://0.0.0.0:$$SAGEMAKER_BIND_TO_PORT$$
management_address=http://0.0.0.0:$$SAGEMAKER_BIND_TO_PORT$$
default_response_timeout=$$SAGEMAKER_RESPONSE_TIMEOUT$$
unregister_model_timeout=$$SAGEMAKER_RESPONSE_TIMEOUT$$
default_workers_per_model=$$SAGEMAKER_NUM_MODEL_WORKERS$$
default_service_handler=$$SAGEMAKER_HANDLER$$
max_response_size=$$SAGEMAKER_MAX_RESPONSE_SIZE$$
max_request_size=$$SAGEMAKER_MAX_REQUEST_SIZE$$
decode_input_request=false
"""
