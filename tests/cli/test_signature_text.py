from salver.cli.signatures import signature_text
from salver.types import Signature, TensorSpec

SIGNATURE = Signature(
    inputs=(TensorSpec(name="image", datatype="BYTES", shape=(-1,)),),
    outputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 5)), TensorSpec(name="z", datatype="FP32", shape=())),
)


def test_a_signature_is_one_line():
    assert signature_text(SIGNATURE) == "image BYTES [n] → y FP32 [n, 5], z FP32 []"


def test_a_signature_that_is_not_the_default_is_named():
    assert signature_text(SIGNATURE, "top").startswith("top: image")


def test_a_model_that_takes_bodies_takes_anything():
    assert signature_text(Signature(inputs=(), outputs=())) == "anything → anything"


def test_an_unknown_rank_is_told() -> None:
    free = TensorSpec(name="x", datatype="FP32", shape=(-1,), has_rank=False)
    assert signature_text(Signature(inputs=(free,), outputs=())) == "x FP32 [...] → anything"
