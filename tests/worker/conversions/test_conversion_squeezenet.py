"""A real photo through a real model: what the steps make must be what the model was trained on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from salver_worker.conversions.plan import ConversionPlan

SIGNATURE = {
    "inputs": [{"name": "data", "datatype": "FP32", "shape": [-1, 3, 227, 227]}],
    "outputs": [{"name": "prob", "datatype": "FP32", "shape": [-1, 1000]}],
}
INPUTS = [
    {
        "name": "image",
        "feeds": "data",
        "convert": [
            "decode_image",
            {"resize": {"size": [227, 227], "mode": "bilinear"}},
            {"colour_order": "BGR"},
            {"normalize": {"mean": [104, 117, 123]}},
            {"layout": "NCHW"},
        ],
    }
]
OUTPUTS = [{"reads": "prob", "convert": [{"top_k": {"k": 3, "labels": "synset.txt"}}]}]


def test_squeezenet_names_the_kitten_with_the_known_probabilities(data: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    folder = data / "squeezenet_v1.1"
    plan = ConversionPlan.bind(SIGNATURE, INPUTS, OUTPUTS, str(folder))
    session = runtime.InferenceSession(str(folder / "squeezenet_v1.1.onnx"))
    picture = np.array([(data / "images" / "kitten.jpg").read_bytes()] * 2, dtype=object)

    (scores,) = session.run(None, plan.convert_inputs({"image": picture}))
    answers = plan.convert_outputs({"prob": scores})

    assert plan.signature["ranking"] == {"classes": "classes", "probabilities": "probabilities"}
    expected = [b"n02123159 tiger cat", b"n02124075 Egyptian cat", b"n02123045 tabby, tabby cat"]
    assert answers["classes"].tolist() == [expected, expected]
    np.testing.assert_allclose(answers["probabilities"], [[0.410, 0.266, 0.248]] * 2, atol=0.001)
