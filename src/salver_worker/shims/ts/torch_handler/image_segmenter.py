"""Pictures to a class, and how probable it is, for each pixel."""

from __future__ import annotations

from typing import Any, List

import torch
from torchvision import transforms

from ts.torch_handler.vision_handler import VisionHandler


class ImageSegmenter(VisionHandler):
    image_processing = transforms.Compose(
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]),
        ]
    )

    def postprocess(self, data: Any) -> List[Any]:
        probabilities, classes = torch.max(torch.nn.functional.softmax(data["out"], dim=1), dim=1)
        pixels: List[Any] = torch.stack([classes.type(probabilities.dtype), probabilities], dim=3).tolist()
        return pixels
