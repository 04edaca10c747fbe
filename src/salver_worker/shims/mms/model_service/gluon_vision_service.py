"""The service of MMS 0.4 that names what is in a picture by a network of Gluon. Needs mxnet."""

from __future__ import annotations

from typing import Any

import mxnet as mx

from mms.model_service.mxnet_model_service import GluonImperativeBaseService
from mms.utils.mxnet import image, ndarray

MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class GluonVisionService(GluonImperativeBaseService):
    """Pictures in, resized to the signature's height and width; out come the five most probable labels."""

    def _preprocess(self, data: Any) -> Any:
        arrays = []
        for index, picture in enumerate(data):
            height, width = self.signature["inputs"][index]["data_shape"][2:]
            array = image.resize(image.read(picture), width, height, 1).astype("float32") / 255
            arrays.append(
                image.transform_shape(image.color_normalize(array, mx.nd.array(MEAN), mx.nd.array(DEVIATION)))
            )
        return arrays

    def _inference(self, data: Any) -> Any:
        super()._inference(data)
        return self.net(data[0].as_in_context(self.ctx)).softmax()

    def _postprocess(self, data: Any) -> Any:
        assert hasattr(self, "labels"), "Can't find labels attribute. Did you put synset.txt file into model archive?"
        return [ndarray.top_probability(data, self.labels, top=5)]
