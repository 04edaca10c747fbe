"""The service of MMS 0.4 that names what is in a picture (mms/model_service/mxnet_vision_service.py). Needs mxnet."""

from __future__ import annotations

from typing import Any

from mms.model_service.mxnet_model_service import MXNetBaseService
from mms.utils.mxnet import image, ndarray


class MXNetVisionService(MXNetBaseService):
    """Pictures in, resized to the signature's height and width; out come the five most probable labels."""

    def _preprocess(self, data: Any) -> Any:
        arrays = []
        for index, picture in enumerate(data):
            height, width = self.signature["inputs"][index]["data_shape"][2:]
            arrays.append(image.transform_shape(image.resize(image.read(picture), width, height)))
        return arrays

    def _postprocess(self, data: Any) -> Any:
        assert hasattr(self, "labels"), "Can't find labels attribute. Did you put synset.txt file into model archive?"
        return [ndarray.top_probability(output, self.labels, top=5) for output in data]
