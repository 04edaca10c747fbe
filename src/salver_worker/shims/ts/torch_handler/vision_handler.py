"""Pictures: bytes, base64 or nested lists become one batch of tensors."""

from __future__ import annotations

import base64
import io
from typing import Any

import torch
from PIL import Image

from ts.torch_handler.base_handler import BaseHandler


class VisionHandler(BaseHandler):
    """A handler with `image_processing`, from a picture to a tensor."""

    image_processing: Any = None

    def preprocess(self, data: Any) -> Any:
        return torch.stack([self._tensor(row.get("data") or row.get("body")) for row in data]).to(self.device)

    def _tensor(self, image: Any) -> Any:
        if isinstance(image, str):
            image = base64.b64decode(image)
        if isinstance(image, (bytes, bytearray)):
            return self.image_processing(Image.open(io.BytesIO(image)).convert("RGB"))
        return torch.as_tensor(image, dtype=torch.float32)

    def get_insights(self, tensor_data: Any, raw_data: Any, target: Any = 0) -> Any:
        """How much each value counted. Needs captum."""
        from captum.attr import IntegratedGradients

        return IntegratedGradients(self.model).attribute(tensor_data, target=target, n_steps=15).tolist()
