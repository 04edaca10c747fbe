"""A model with several signatures: each is found by its name, checked by its own rows, and answered by its own code."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from salver_worker.conversions.plan import ConversionPlan
from salver_worker.errors import InputError
from salver_worker.frames import PREDICT, decode_header, encode_header
from salver_worker.inputs import DEFAULT_SIGNATURES, MAX_REMEMBERED
from salver_worker.links import Frame
from salver_worker.predictors import TensorPredictor
from salver_worker.runtimes.base import NamedSignature, signature, tensor
from salver_worker.signatures import Asked, bind

NO_LINK: Any = SimpleNamespace(slab=None)


def plus(number: float) -> Any:
    return lambda inputs, _parameters: {"y": next(iter(inputs.values())) + np.float32(number)}


def described(name: str, *shape: int) -> dict[str, Any]:
    return signature([tensor(name, "FP32", shape)], [tensor("y", "FP32", shape)])


class Several:
    """Its signatures add 1, 10 and 100 to inputs of other names and shapes."""

    payload = "tensors"
    runtime_version = "several 1"
    has_batch_dimension = True
    details: Mapping[str, str] = {}

    def __init__(self, default: str = "serving_default") -> None:
        self.default_signature = default
        self.signature = described("x", -1)
        self.predict = plus(1)
        self.signatures = {
            "tens": NamedSignature(described("t", -1, 2), True, plus(10)),
            "whole": NamedSignature(described("w", 2), False, plus(100)),
        }
        self.signature_defs = {default: {"method_name": "p"}, "__init": {"method_name": ""}}

    def close(self) -> None:
        """Nothing."""


def asked(model: Any, outputs: Any = None) -> Asked:
    plan = ConversionPlan.bind(model.signature, None, outputs, "")
    names = (*DEFAULT_SIGNATURES, getattr(model, "default_signature", "serving_default"))
    return bind(model, TensorPredictor(model, plan, names), plan.signature)


def frame(name: str | None, tensor_name: str, values: Any, **more: Any) -> Frame:
    array = np.asarray(values, np.float32)
    header = {"tensors": [[tensor_name, "FP32", list(array.shape), array.nbytes]], **more}
    if name is not None:
        header["signature"] = name
    return Frame(PREDICT, 1, 0, encode_header(header), memoryview(array.tobytes()))


def answered(given: Asked, *arguments: Any, **more: Any) -> list[Any]:
    answer = given.whole.answer(frame(*arguments, **more), NO_LINK, NO_LINK)
    ((_, _, shape, _),) = decode_header(answer.header)["tensors"]
    values: list[Any] = np.frombuffer(bytes(answer.buffers[0]), np.float32).reshape(shape).tolist()
    return values


def test_every_signature_has_rows_and_code_of_its_own() -> None:
    given = asked(Several())
    assert sorted(given.signatures) == ["serving_default", "tens", "whole"]
    for _ in range(2):  # the second time the header is known by its bytes
        assert answered(given, "serving_default", "x", [1, 2]) == [2, 3]
        assert answered(given, "tens", "t", [[1, 2]]) == [[11, 12]]
        assert answered(given, "whole", "w", [1, 2]) == [101, 102]
    assert answered(given, None, "x", [1]) == answered(given, "", "x", [1]) == [2]


def test_an_input_of_another_signature_is_refused() -> None:
    given = asked(Several())
    with pytest.raises(InputError, match="there is no input x; the inputs are: t"):
        answered(given, "tens", "x", [1])
    with pytest.raises(InputError, match="must have the shape"):
        answered(given, "tens", "t", [1])
    with pytest.raises(InputError, match="no signature 'no'; there are: serving_default, tens, whole"):
        answered(given, "no", "x", [1])


def test_a_default_with_a_name_of_its_own_is_found_by_both() -> None:
    given = asked(Several("predict"))
    assert sorted(given.signatures) == ["predict", "serving_default", "tens", "whole"]
    assert given.signatures["predict"] == given.signatures["serving_default"]
    assert answered(given, "predict", "x", [1]) == answered(given, "serving_default", "x", [1]) == [2]


def test_signatures_without_rows_are_told_where_the_default_has_some() -> None:
    assert asked(Several()).unbatched == ("whole",)
    model = Several()
    model.has_batch_dimension = False
    assert asked(model).unbatched == ()


def test_what_a_model_says_of_its_signatures_is_passed_on_unless_callers_see_another() -> None:
    assert asked(Several()).signature_defs == Several().signature_defs
    converted = asked(Several(), [{"reads": "y", "name": "z"}])
    assert converted.signatures["serving_default"]["outputs"][0]["name"] == "z"
    assert converted.signature_defs == {"serving_default": None, "__init": {"method_name": ""}}


def test_a_model_of_one_signature_has_no_way_through_names() -> None:
    class Single:
        signature = described("x", -1)
        has_batch_dimension = True
        predict = staticmethod(plus(1))

    given = asked(Single())
    assert isinstance(given.whole, TensorPredictor)
    assert list(given.signatures) == ["serving_default"]
    with pytest.raises(InputError, match="there is no signature 'tens'"):
        answered(given, "tens", "x", [1])


def test_headers_that_never_repeat_are_not_kept_for_ever() -> None:
    given = asked(Several())
    for number in range(MAX_REMEMBERED + 2):
        assert answered(given, "serving_default", "x", [1], parameters={"n": number}) == [2]
    assert len(given.whole._by_header) <= MAX_REMEMBERED  # type: ignore[attr-defined]


def test_a_tensor_of_unknown_rank_takes_any_shape() -> None:
    class Free:
        signature = signature([tensor("x", "FP32", None)], [tensor("y", "FP32", None)])
        has_batch_dimension = False
        predict = staticmethod(plus(1))

    given = asked(Free())
    assert given.signatures["serving_default"]["inputs"] == [
        {"name": "x", "datatype": "FP32", "shape": [-1], "has_rank": False}
    ]
    assert answered(given, None, "x", 1.0) == 2
    assert answered(given, None, "x", [[1.0, 2.0]]) == [[2, 3]]
