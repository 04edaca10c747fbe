"""TensorFlow Serving: the protocol of its clients, over REST."""

from salver.wire.tfserving.rest import TfServingWire

__all__ = ["TfServingWire"]
