"""Pictures to the things in them: label, box and score of each."""

from __future__ import annotations

from typing import Any, Dict, List

import torch
from torchvision import transforms

from ts.torch_handler.vision_handler import VisionHandler


class ObjectDetector(VisionHandler):
    threshold = 0.5
    image_processing = transforms.Compose([transforms.ToTensor()])

    def preprocess(self, data: Any) -> Any:
        """One tensor, as the original has it; a list for pictures of several sizes, and where TorchScript takes one."""
        pictures = [self._tensor(row.get("data") or row.get("body")).to(self.device) for row in data]
        is_alike = len({picture.shape for picture in pictures}) == 1
        return torch.stack(pictures) if is_alike and not self._takes_list() else pictures

    def _takes_list(self) -> bool:
        if not isinstance(self.model, torch.jit.ScriptModule):
            return False
        return str(self.model.forward.schema.arguments[1].type).startswith("List")

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        with torch.inference_mode():
            return self.model(data, *args, **kwargs)

    def postprocess(self, data: Any) -> List[Any]:
        return [self._things(found) for found in data]

    def _things(self, found: Any) -> List[Dict[str, Any]]:
        labels = self.mapping or {}
        rows = zip(found["labels"].tolist(), found["boxes"].tolist(), found["scores"].tolist())
        return [
            {str(labels.get(str(label), label)): box, "score": score}
            for label, box, score in rows
            if score >= self.threshold
        ]
