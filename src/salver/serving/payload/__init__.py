"""Bodies become the tensors that a signature names: the server's one conversion, for every wire that takes bodies."""

from salver.serving.payload.conversion import batch_group, body_to_inputs
from salver.serving.payload.media import bare_media_type, is_json
from salver.serving.payload.raw import as_bytes

__all__ = ["as_bytes", "bare_media_type", "batch_group", "body_to_inputs", "is_json"]
