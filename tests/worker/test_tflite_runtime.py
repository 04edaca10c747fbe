"""TensorFlow Lite models: quantised numbers, rows that the file does or does not allow, signatures, and text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from runtime_process import real_data, told_by

from framework_environments import framework_python, run_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
MAKE = """
import sys
import tensorflow as tf

folder = sys.argv[1]
S, F32 = tf.TensorSpec, tf.float32

class Several(tf.Module):
    @tf.function(input_signature=[S([None, 2], F32, name="a"), S([None, 2], F32, name="b")])
    def add(self, a, b):
        return {"sum": a + b, "difference": a - b}
    @tf.function(input_signature=[S([None, 2], F32, name="x")])
    def double(self, x):
        return {"y": x * 2.0}

several = Several()
functions = [several.add.get_concrete_function(), several.double.get_concrete_function()]
tf.saved_model.save(several, folder + "/saved", signatures={"serving_default": functions[0], "double": functions[1]})
converter = tf.lite.TFLiteConverter.from_saved_model(folder + "/saved", signature_keys=["serving_default", "double"])
open(folder + "/several.tflite", "wb").write(converter.convert())

def one(name, function, *specs):
    made = tf.function(function, input_signature=specs).get_concrete_function()
    open(folder + "/" + name, "wb").write(tf.lite.TFLiteConverter.from_concrete_functions([made]).convert())

one("mixing.tflite", lambda x: tf.reverse(x, [0]), S([1, 2], F32, name="x"))
one("text.tflite", lambda s: tf.gather(s, [1, 0]), S([2], tf.string, name="s"))
"""
OPEN = """
from salver_worker.runtimes import tflite as runtime

made, data, picture = map(Path, sys.argv[1:])

def told(path):
    model = runtime.load(request(path))
    return model, [model.signature, model.has_batch_dimension, model.details]

for name in ("mobilenet_v1_0.25_128_quant", "mobilenet_v2_1.0_224_quant"):
    model, out[name] = told(data / (name + ".tflite"))
    pixels = np.load(picture / (name + ".npy"))
    pixels.setflags(write=False)
    for _ in range(2):
        (answer,) = model.predict({"input": pixels}, {}).values()
    out[name].append([str(answer.dtype), np.argsort(-answer[0].astype(int))[:3].tolist(), int(answer.max())])
for name in ("saved_model_half_plus_two_tflite", "saved_model_half_plus_two_tflite_with_sigdef"):
    model, out[name] = told(data / name / "00000123" / "model.tflite")
    (place,) = [row["name"] for row in model.signature["inputs"]]
    given = [np.array(rows, np.float32) for rows in ([[1]], [[1], [2], [5]], [[5]])]
    out[name].append([model.predict({place: each}, {})["y"].tolist() for each in given])
out["custom"] = refusal(runtime.load, data / "parse_example_tflite" / "00000123" / "model.tflite")
cut = made / "cut.tflite"
cut.write_bytes((data / "mobilenet_v1_0.25_128_quant.tflite").read_bytes()[:1000])
out["cut"] = refusal(runtime.load, cut)

several, out["several"] = told(made / "several.tflite")
out["further"] = {name: it.signature for name, it in several.signatures.items()}
a, b = np.array([[1, 2], [3, 4]], np.float32), np.ones((2, 2), np.float32)
answer = several.predict({"a": a, "b": b}, {})
double = several.signatures["double"]
out["answers"] = [answer["sum"].tolist(), answer["difference"].tolist(),
                  double.predict({"x": a}, {})["y"].tolist(), double.has_batch_dimension]
mixing, out["mixing"] = told(made / "mixing.tflite")
text, out["text"] = told(made / "text.tflite")
answer = next(iter(text.predict({"s": np.array(["é".encode(), b"b"], object)}, {}).values()))
out["turned"] = [each.decode() for each in answer]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the runtime told of real models, of some that TensorFlow converted, and of the photo of a cat."""
    folder: Path = tmp_path_factory.mktemp("lite")
    run_in(framework_python("tensorflow-cpu"), MAKE, folder)
    data = real_data()
    with Image.open(data / "images" / "kitten.jpg") as photo:
        for name, size in (("mobilenet_v1_0.25_128_quant", 128), ("mobilenet_v2_1.0_224_quant", 224)):
            small = photo.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            np.save(folder / f"{name}.npy", np.asarray(small, np.uint8)[None])
    return told_by(framework_python("ai-edge-litert"), OPEN, folder, data / "tflite", folder)


def labels() -> list[str]:
    lines = (real_data() / "tflite" / "imagenet_labels.txt").read_text().splitlines()
    return [line.partition(" ")[2].strip() for line in lines]


@pytest.mark.parametrize("name", ["mobilenet_v1_0.25_128_quant", "mobilenet_v2_1.0_224_quant"])
def test_a_quantised_classifier_knows_a_cat(told, name: str) -> None:
    signature, has_rows, details, (kind, best, highest) = told[name]
    assert ([row["datatype"] for row in signature["inputs"]], kind) == (["UINT8"], "uint8")
    assert has_rows is False  # a Reshape to one row is written into the file
    assert details["input.quantization"] == "value = 0.0078125 * (number - 128)"
    assert "cat" in labels()[best[0]]
    assert highest > 100


@pytest.mark.parametrize("name", ["saved_model_half_plus_two_tflite", "saved_model_half_plus_two_tflite_with_sigdef"])
def test_a_file_that_says_one_row_may_take_any(told, name: str) -> None:
    signature, has_rows, _, answers = told[name]
    assert (signature["inputs"][0]["shape"], has_rows) == ([-1, 1], True)
    assert answers == [[[2.5]], [[2.5], [3.0], [4.5]], [[4.5]]]


def test_a_model_that_mixes_rows_is_asked_one_by_one(told) -> None:
    signature, has_rows, _ = told["mixing"]
    assert (signature["inputs"][0]["shape"], has_rows) == ([1, 2], False)


def test_signatures_have_their_names_and_rows(told) -> None:
    signature, has_rows, _ = told["several"]
    assert [row["name"] for row in signature["inputs"]] == ["a", "b"]
    assert [row["name"] for row in signature["outputs"]] == ["difference", "sum"]
    assert has_rows is True
    assert told["further"]["double"]["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]
    assert told["answers"] == [[[2, 3], [4, 5]], [[0, 1], [2, 3]], [[2, 4], [6, 8]], True]


def test_text_goes_in_and_out_as_bytes(told) -> None:
    signature, _, _ = told["text"]
    assert [row["datatype"] for row in (*signature["inputs"], *signature["outputs"])] == ["BYTES", "BYTES"]
    assert told["turned"] == ["b", "é"]


def test_operators_of_tensorflow_are_refused_with_what_helps(told) -> None:
    message, fix = told["custom"]
    assert "Encountered unresolved custom op: ParseExampleV2" in message
    assert fix.startswith("It needs operators that LiteRT does not have.")


def test_a_file_that_is_cut_short_is_refused(told) -> None:
    assert told["cut"][0].startswith("LiteRT cannot open the file")
