"""What an ONNX file says of itself."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models import onnxfile
from salver.models.onnxfile import OnnxOutline, read_outline
from salver.models.protofields import CutShort, NotProtobuf, fields


def outline(content: bytes) -> OnnxOutline | None:
    return read_outline(io.BytesIO(content), len(content))


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """A protobuf message of varints and of bytes shorter than 128."""
    return b"".join(
        bytes([number << 3, value]) if isinstance(value, int) else bytes([number << 3 | 2, len(value)]) + value
        for number, value in fields
    )


def test_opset_and_inputs_are_read_and_weights_do_not_count(onnx_model: bytes) -> None:
    assert outline(onnx_model) == OnnxOutline(opset=17, inputs=("x",))


def test_real_models_are_read(data: Path) -> None:
    found = outline((data / "squeezenet_v1.1" / "squeezenet_v1.1.onnx").read_bytes())
    assert found == OnnxOutline(opset=13, inputs=("data",))


@pytest.mark.parametrize(
    ("found", "label"),
    [
        (OnnxOutline(opset=13, inputs=("a",)), "ONNX model (opset 13, 1 input)"),
        (OnnxOutline(opset=13, inputs=("a", "b")), "ONNX model (opset 13, 2 inputs)"),
        (OnnxOutline(opset=None, inputs=None), "ONNX model"),
        (OnnxOutline(opset=9, inputs=None), "ONNX model (opset 9)"),
    ],
)
def test_the_label_says_what_is_known(found: OnnxOutline, label: str) -> None:
    assert found.label == label


def test_a_model_that_ends_inside_its_graph_is_cut_short(onnx_model: bytes) -> None:
    with pytest.raises(CutShort):
        outline(onnx_model[: len(onnx_model) // 2])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"some text, long enough",
        message((2, b"no version"), (7, b"")),
        message((1, 8), (2, b"no graph")),
        message((1, b"the version is text"), (7, b"")),
        message((1, 8), (7, 1)),
        b"\x08",
        b"\x00\x01",
        b"\x0b" + b"a group",
        message((1, 8), (7, b"\xff" * 12)),
    ],
)
def test_other_bytes_are_no_model(content: bytes) -> None:
    assert outline(content) is None


def test_an_input_without_a_name_counts_all_the_same() -> None:
    assert outline(message((1, 8), (7, message((11, b""), (11, message((1, 5))))))) == OnnxOutline(
        opset=None, inputs=("", "")
    )


def test_the_opset_of_another_domain_is_not_the_models() -> None:
    opset = message((1, b"ai.onnx.ml"), (2, 3))
    assert outline(message((1, 8), (7, b""), (8, opset), (8, message((2, 12))), (8, opset))) == OnnxOutline(
        opset=12, inputs=()
    )


def test_fields_of_wrong_kinds_inside_are_stepped_over() -> None:
    graph = message((11, 1), (5, 1))
    assert outline(message((1, 8), (7, graph), (8, 3), (8, message((1, 1), (2, b"x"))))) == OnnxOutline(
        opset=None, inputs=()
    )


def test_fixed_width_fields_are_stepped_over() -> None:
    assert outline(b"\x09" + b"12345678" + b"\x15" + b"1234" + message((1, 8), (7, b""))) is not None


def test_a_graph_of_too_many_fields_is_known_but_not_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnxfile, "MAX_FIELDS", 3)
    assert outline(message((1, 8), (7, message((1, b""), (1, b""), (1, b""), (11, b""))))) == OnnxOutline(
        opset=None, inputs=None
    )


def test_a_number_that_never_ends_is_no_protobuf() -> None:
    with pytest.raises(NotProtobuf, match="too long"):
        list(fields(io.BytesIO(b"\x80" * 30), 0, 30))


@given(st.binary(max_size=60))
def test_no_bytes_at_all_break_the_reader(content: bytes) -> None:
    with contextlib.suppress(CutShort):
        outline(b"\x08\x08" + content)
