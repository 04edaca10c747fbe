"""MLServer's dialect of the Open Inference protocol: the same requests, told and refused as MLServer does."""

from salver.wire.openinference.mlserver.rest import MlServerWire

__all__ = ["MlServerWire"]
