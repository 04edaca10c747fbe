"""The Open Inference protocol (V2), with the extensions of Triton Inference Server, over REST."""

from salver.wire.openinference.rest import OpenInferenceWire

__all__ = ["OpenInferenceWire"]
