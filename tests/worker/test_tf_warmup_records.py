"""TensorFlow Serving's warm-up files are read without TensorFlow, checked, and replayed."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from prediction_logs import example, examples_log, field, predict_log, record, tensor, varint
from salver_worker.failures import LoadFailure
from salver_worker.tfrecords.fields import MessageError, fields_of
from salver_worker.tfrecords.framing import RecordError, masked_crc, read_records
from salver_worker.tfrecords.predictionlog import read_log
from salver_worker.tfrecords.replay import FILE_NAME, replay
from salver_worker.tfrecords.tensors import read_tensor

X = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1]}], "outputs": []}
SIGNATURES = {"serving_default": X}


def log_of_x(*values: float, signature: str = "") -> bytes:
    content = struct.pack(f"<{len(values)}f", *values)
    return predict_log("x", content, dtype=1, shape=(len(values),), signature=signature)


@pytest.fixture
def place(tmp_path: Path) -> Callable[..., Path]:
    """Writes the file beside a model, and returns the model's path."""

    def write(*logs: bytes, raw: bytes | None = None) -> Path:
        path = tmp_path / FILE_NAME
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"".join(map(record, logs)) if raw is None else raw)
        return tmp_path / "model.onnx"

    return write


def replayed(
    path: Path, signatures: Mapping[str, Mapping[str, Any]] = SIGNATURES, rounds: int = 1
) -> list[Mapping[str, Any]]:
    ran: list[Mapping[str, Any]] = []
    replay(str(path), signatures, ran.append, rounds)
    return ran


def refusal(path: Path, signatures: Mapping[str, Mapping[str, Any]] = SIGNATURES) -> str:
    with pytest.raises(LoadFailure) as raised:
        replay(str(path), signatures, lambda _: None, 1)
    assert FILE_NAME in raised.value.fix
    return raised.value.message.removeprefix(f"{FILE_NAME}, ")


# The frames


def test_the_checksum_is_that_of_the_published_vectors() -> None:
    """CRC-32C of `123456789` is e3069283; of 32 zeros 8a9136aa. The mask is TFRecord's own."""
    for data, crc in ((b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA)):
        assert masked_crc(data) == ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_records_come_back_as_they_were_written() -> None:
    records = [b"", b"one", bytes(range(256)) * 100]
    assert list(read_records(io.BytesIO(b"".join(map(record, records))))) == records


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda raw: raw[:5], "it is cut short"),
        (lambda raw: raw[:14], "it is cut short"),
        (lambda raw: raw[:-2], "it is cut short"),
        (lambda raw: b"\x01" + raw[1:], "the checksum of its length is wrong"),
        (lambda raw: raw[:13] + b"?" + raw[14:], "its checksum is wrong"),
    ],
)
def test_damage_is_found(damage: Callable[[bytes], bytes], words: str) -> None:
    with pytest.raises(RecordError, match=words):
        list(read_records(io.BytesIO(damage(record(b"something")))))


def test_a_length_that_no_record_has_is_not_read() -> None:
    length = struct.pack("<Q", 2**40)
    with pytest.raises(RecordError, match="more than"):
        list(read_records(io.BytesIO(length + struct.pack("<I", masked_crc(length)))))


# Tensors


@pytest.mark.parametrize(
    ("dtype", "field_number", "values", "expected"),
    [
        (1, 5, struct.pack("<2f", 1.5, 2.5), np.array([1.5, 2.5], np.float32)),
        (2, 6, struct.pack("<2d", 1.5, 2.5), np.array([1.5, 2.5], np.float64)),
        (3, 7, varint(3) + varint(-4), np.array([3, -4], np.int32)),
        (4, 7, varint(3) + varint(255), np.array([3, 255], np.uint8)),
        (5, 7, varint(3) + varint(-4), np.array([3, -4], np.int16)),
        (6, 7, varint(3) + varint(-128), np.array([3, -128], np.int8)),
        (9, 10, varint(3) + varint(-(2**63)), np.array([3, -(2**63)], np.int64)),
        (10, 11, varint(1) + varint(0), np.array([True, False])),
        (14, 13, varint(0x3FC0) + varint(0xC000), np.array([1.5, -2.0], np.float32)),
        (17, 7, varint(3) + varint(65535), np.array([3, 65535], np.uint16)),
        (19, 13, varint(0x3E00) + varint(0xC000), np.array([1.5, -2.0], np.float16)),
        (22, 16, varint(3) + varint(2**32 - 1), np.array([3, 2**32 - 1], np.uint32)),
        (23, 17, varint(3) + varint(2**64 - 1), np.array([3, 2**64 - 1], np.uint64)),
    ],
)
def test_every_datatype_is_read_from_its_field_and_from_raw_bytes(
    dtype: int, field_number: int, values: bytes, expected: Any
) -> None:
    array = read_tensor(tensor(dtype, (2,), field(field_number, values)))
    assert array.dtype == expected.dtype
    np.testing.assert_array_equal(array, expected)
    if dtype != 14:
        np.testing.assert_array_equal(read_tensor(tensor(dtype, (2,), field(4, expected.tobytes()))), expected)


def test_strings_are_bytes() -> None:
    array = read_tensor(tensor(7, (2, 1), field(8, b"\xff"), field(8, "two")))
    assert array.tolist() == [[b"\xff"], [b"two"]]


def test_the_last_value_stands_for_the_rest_and_none_for_zeros() -> None:
    assert read_tensor(tensor(1, (4,), field(5, struct.pack("<2f", 1, 2)))).tolist() == [1, 2, 2, 2]
    assert read_tensor(tensor(3, (2,))).tolist() == [0, 0]
    assert read_tensor(tensor(9, (), field(10, varint(7)))).tolist() == 7


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (tensor(1, (1,), field(5, struct.pack("<2f", 1, 2))), "a tensor of 1 elements has 2 values"),
        (tensor(1, (2,), field(4, b"1234567")), "a tensor of 2 elements has 7 bytes"),
        (tensor(8, (1,)), "datatype 8, which is not supported"),
        (tensor(1, (-1,)), "unknown shape"),
        (field(1, 1) + field(2, field(3, 1)), "unknown shape"),
        (tensor(1, (2**20, 2**20)), "elements"),
        (tensor(6, (1,), field(7, varint(300))), "a tensor of int8 has the value 300"),
        (tensor(1, (1,), field(5, b"123")), "no list of numbers"),
        (field(1, b"x"), "field 1 is no number"),
        (field(2, 3), "field 2 is a number"),
    ],
)
def test_a_tensor_that_is_none_is_refused(raw: bytes, words: str) -> None:
    with pytest.raises(MessageError, match=words):
        read_tensor(raw)


@pytest.mark.parametrize("raw", [b"\x80", b"\x0a\x05x", b"\x0b", b"\x02\x00", b"\xff" * 11, b"\x0d\x00"])
def test_bytes_that_are_no_message_are_refused(raw: bytes) -> None:
    with pytest.raises(MessageError):
        fields_of(raw)


# Logs


def test_a_predict_log_becomes_the_models_inputs(place: Callable[..., Path]) -> None:
    (ran,) = replayed(place(log_of_x(1.0, 2.0)))
    assert ran["inputs"]["x"].tolist() == [1.0, 2.0]


def test_text_is_handed_on_as_lists(place: Callable[..., Path]) -> None:
    entry = field(1, "x") + field(2, tensor(7, (1,), field(8, "ann")))
    log = field(6, field(1, field(1, field(1, "m")) + field(2, entry)))
    assert replayed(place(log)) == [{"inputs": {"x": [b"ann"]}}]


@pytest.mark.parametrize("kind", [2, 3])
def test_examples_become_columns(kind: int, place: Callable[..., Path]) -> None:
    signature = {"inputs": [*X["inputs"], {"name": "name", "datatype": "BYTES", "shape": [-1, -1]}]}
    log = examples_log(kind, {"x": 1.0, "name": ["a", "b"]}, {"name": ["c", "d"]}, context={"x": 5.0})
    assert replayed(place(log), {"serving_default": signature}) == [
        {"inputs": {"x": [1.0, 5.0], "name": [[b"a", b"b"], [b"c", b"d"]]}}
    ]


def test_whole_numbers_are_read_with_their_sign() -> None:
    assert read_log(examples_log(3, {"n": [-1, 2**40]})).examples == [{"n": [-1, 2**40]}]


def test_each_task_of_a_multi_inference_log_is_asked(place: Callable[..., Path]) -> None:
    tasks = b"".join(field(1, field(1, field(3, name))) for name in ("one", "two"))
    given = field(2, field(1, field(1, example({"x": 1.0}))))
    log = field(4, field(1, tasks + given))
    assert len(replayed(place(log), {"one": X, "two": X})) == 2


def test_requests_are_run_as_often_as_it_is_asked(place: Callable[..., Path]) -> None:
    path = place(log_of_x(1.0), log_of_x(2.0))
    assert len(replayed(path, rounds=3)) == 6
    assert replayed(path, rounds=0) == []


def test_there_need_be_no_file(tmp_path: Path) -> None:
    assert replayed(tmp_path) == []


def test_a_session_is_left_out_with_a_word(place: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert len(replayed(place(field(5, field(1, b"")), log_of_x(1.0)))) == 1
    assert "record 1 of assets.extra/tf_serving_warmup_requests is left out" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("log", "words"),
    [
        (b"\xff", "record 2: a number does not end"),
        (b"", "record 2: it holds no request"),
        (log_of_x(1.0, signature="other"), "record 2: the model has no signature other; it has: serving_default"),
        (examples_log(2), "record 2: it has no example"),
        (examples_log(3, {"y": 1.0}), "record 2: Feature: x (data type: FP32) is required but could not be found."),
        (
            field(6, field(1, field(2, field(1, b"\xff\xfe") + field(2, tensor(1, (1,)))))),
            "record 2: field 1 is no text",
        ),
    ],
)
def test_a_log_that_cannot_be_replayed_is_named(log: bytes, words: str, place: Callable[..., Path]) -> None:
    assert refusal(place(log_of_x(1.0), log)) == words


def test_a_file_that_is_damaged_is_named(place: Callable[..., Path]) -> None:
    raw = record(log_of_x(1.0)) + record(log_of_x(2.0))[:-1]
    assert refusal(place(raw=raw)) == "record 2: it is cut short"


def test_more_than_a_thousand_are_too_many(place: Callable[..., Path]) -> None:
    path = place(*[log_of_x(1.0)] * 1001)
    assert refusal(path) == "record 1001: Number of warmup records exceeded the maximum (1000)"


def test_what_the_model_refuses_keeps_it_from_serving(place: Callable[..., Path]) -> None:
    def run(_: Mapping[str, Any]) -> None:
        raise LoadFailure("the model failed on its own example: ValueError")

    with pytest.raises(LoadFailure) as raised:
        replay(str(place(log_of_x(1.0))), SIGNATURES, run, 1)
    assert raised.value.message == f"{FILE_NAME}, record 1: the model failed on the request: ValueError"


def test_a_request_says_for_which_signature_it_is_unless_for_the_default(place: Callable[..., Path]) -> None:
    path = place(log_of_x(1.0), log_of_x(2.0, signature="other"))
    first, second = replayed(path, {**SIGNATURES, "other": X})
    assert ("signature" in first, second["signature"]) == (False, "other")


def test_a_model_that_parses_examples_gets_them_as_they_are(place: Callable[..., Path]) -> None:
    takes = {"inputs": [{"name": "inputs", "datatype": "BYTES", "shape": [-1]}], "outputs": []}
    log = examples_log(3, {"x": 1.0}, {"x": 2.0}, context={"y": 3.0})
    ((request),) = replayed(place(log), {"serving_default": takes})
    context = example({"y": 3.0})
    assert request["inputs"] == {"inputs": [context + example({"x": 1.0}), context + example({"x": 2.0})]}
