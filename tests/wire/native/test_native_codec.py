import gzip
from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from salver.errors import Code, RequestError
from salver.serving.payload import batch_group
from salver.types import InferRequest, PayloadKind, Signature, SlabSlice, Tensor, TensorSpec, VersionInfo, as_array
from salver.wire.native import NativeWire
from salver.wire.native.accept import AnswerKind
from salver.wire.native.codec import NativeRequest
from salver.wire.native.fast import MAX_TYPED_BYTES

Decode = Callable[..., NativeRequest]
Build = Callable[..., VersionInfo]

ROWS = [[5.1, 3.5, 1.4, 0.2], [6.0, 3.0, 5.1, 1.8]]
RAW = np.array(ROWS, "<f4").tobytes()
RAW_TYPE = "application/octet-stream"


class Owner:
    """Counts what a slab gets back."""

    def __init__(self) -> None:
        self.freed = 0

    def free(self, piece: SlabSlice) -> None:
        self.freed += 1


def values(request: InferRequest) -> dict[str, Any]:
    assert request.inputs is not None
    return {name: as_array(tensor).tolist() for name, tensor in request.inputs.items()}


def npy(array: Any) -> bytes:
    file = BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def test_raw_bytes_are_passed_on_as_they_are(decode: Decode, iris: VersionInfo) -> None:
    request = decode(iris, RAW, RAW_TYPE)

    assert request.inputs == {"x": Tensor("FP32", (2, 4), RAW)}
    assert request.inputs["x"].data is RAW
    assert (request.rows, request.understood, request.body) == (2, "raw", None)
    assert request.group == batch_group("serving_default", request.inputs)
    assert request.version is iris


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_any_buffer_is_passed_on_without_a_copy(decode: Decode, iris: VersionInfo, kind: Any) -> None:
    body = kind(RAW[:16])

    request = decode(iris, body, RAW_TYPE)

    assert request.inputs is not None
    assert request.inputs["x"].data is body
    assert request.rows == 1


def test_a_slab_slice_stays_whole_and_is_not_released(decode: Decode, iris: VersionInfo) -> None:
    owner = Owner()
    body = SlabSlice(owner, 64, memoryview(RAW))

    request = decode(iris, body, RAW_TYPE)

    assert request.inputs is not None
    assert request.inputs["x"].data is body
    assert owner.freed == 0


@pytest.mark.parametrize("wrap", [bytearray, memoryview, lambda body: SlabSlice(Owner(), 0, memoryview(body))])
@pytest.mark.parametrize(
    ("body", "understood"),
    [(b'{"inputs":[[1,2,3,4]]}', "inputs"), (b"[1,2,3,4]", "rows"), (b'{"x":[1,2,3,4]}', "names")],
)
def test_json_is_read_from_any_buffer(
    decode: Decode, iris: VersionInfo, wrap: Any, body: bytes, understood: str
) -> None:
    request = decode(iris, wrap(body))

    assert (values(request), request.understood) == ({"x": [[1.0, 2.0, 3.0, 4.0]]}, understood)


@pytest.mark.parametrize("body", [b"", RAW[:15], RAW + b"x"])
def test_raw_bytes_must_be_whole_rows(decode: Decode, iris: VersionInfo, body: bytes) -> None:
    with pytest.raises(RequestError, match=r"rows of 16 bytes \(FP32 \[4\]\)"):
        decode(iris, body, RAW_TYPE)


def test_raw_bytes_of_a_free_shape_need_the_shape(decode: Decode, version_info: Build) -> None:
    version = version_info([("image", "UINT8", (-1, -1, -1, 3))])
    with pytest.raises(RequestError, match="free shape"):
        decode(version, bytes(24), RAW_TYPE)

    request = decode(version, bytes(24), RAW_TYPE, Salver_Shape="2, 2,2,3")

    assert request.inputs is not None
    assert request.inputs["image"].shape == (2, 2, 2, 3)
    assert (request.rows, request.understood) == (2, "raw")
    assert request.group == batch_group("serving_default", request.inputs)


def test_a_single_shaped_row_may_leave_the_rows_out(decode: Decode, iris: VersionInfo) -> None:
    request = decode(iris, RAW[:16], RAW_TYPE, salver_shape="4")

    assert request.inputs == {"x": Tensor("FP32", (1, 4), RAW[:16])}


def test_a_body_without_a_type_may_be_shaped_too(decode: Decode, iris: VersionInfo) -> None:
    assert decode(iris, RAW, None, salver_shape="2,4").rows == 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ("2,5", "shape"),
        ("3,4", "48 bytes long as FP32, not 32"),
        ("0,4", "no values"),
        ("2,x", "whole numbers with commas"),
        ("-2,4", "whole numbers with commas"),
        (",".join(["1"] * 40), "whole numbers with commas"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused(decode: Decode, iris: VersionInfo, shape: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        decode(iris, RAW, RAW_TYPE, Salver_Shape=shape)
    assert caught.value.code is Code.INVALID_INPUT


@pytest.mark.parametrize(
    ("inputs", "content_type"),
    [
        ([("x", "FP32", (-1, 4))], "text/csv"),
        ([("x", "BYTES", (-1,))], RAW_TYPE),
        ([("x", "FP32", (-1, 4)), ("y", "FP32", (-1, 4))], RAW_TYPE),
    ],
)
def test_a_shape_goes_with_raw_numbers_only(
    decode: Decode, version_info: Build, inputs: Any, content_type: str
) -> None:
    with pytest.raises(RequestError, match="Salver-Shape goes with"):
        decode(version_info(inputs), RAW, content_type, Salver_Shape="2,4")


@pytest.mark.parametrize(
    ("document", "understood"),
    [
        (b'{"inputs":{"x":%b}}', "inputs"),
        (b'{"inputs":%b}', "inputs"),
        (b'{"instances":%b}', "instances"),
        (b"%b", "rows"),
        (b' {"x":%b}', "names"),
        (b'{"x":%b }', "names"),
    ],
)
@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_every_known_json_form_is_understood_and_named(
    decode: Decode, iris: VersionInfo, document: bytes, understood: str, content_type: str
) -> None:
    request = decode(iris, document % b"[[5.1,3.5,1.4,0.2],[6,3.0,5.1,1.8]]", content_type)

    assert values(request)["x"] == np.array(ROWS, "f4").tolist()
    assert (request.rows, request.understood) == (2, understood)
    assert request.group == ("serving_default", ("x", "FP32", (4,)))


@pytest.mark.parametrize(
    ("document", "understood"),
    [
        (b'{"inputs":[1,2,3,4]}', "inputs"),
        (b'{"instances":[[1,2,3,4]]}', "instances"),
        (b'{"instances":[{"x":[1,2,3,4]}]}', "instances"),
        (b"[1,2,3,4]", "rows"),
    ],
)
def test_one_row_in_any_form_is_the_same_row(
    decode: Decode, iris: VersionInfo, document: bytes, understood: str
) -> None:
    request = decode(iris, document)

    assert values(request) == {"x": [[1.0, 2.0, 3.0, 4.0]]}
    assert (request.rows, request.understood) == (1, understood)
    assert request.group == ("serving_default", ("x", "FP32", (4,)))


def test_several_inputs_come_by_name_or_row_by_row(decode: Decode, version_info: Build) -> None:
    version = version_info([("a", "FP32", (-1, 2)), ("b", "INT64", (-1,))])
    by_name = decode(version, b'{"inputs":{"b":[7,8],"a":[[1,2],[3,4]]}}')
    by_row = decode(version, b'{"instances":[{"a":[1,2],"b":7},{"b":8,"a":[3,4]}]}')

    assert values(by_name) == values(by_row) == {"a": [[1.0, 2.0], [3.0, 4.0]], "b": [7, 8]}
    assert by_name.group == by_row.group
    assert (by_name.understood, by_row.understood) == ("inputs", "instances")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"inputs":{"\xff":[[1,2,3,4]]}}', "not JSON"),
        (b'{"inputs":{"x":[[1,2,3]]}}', r"shape \[1, 3\]"),
        (b'{"inputs":{"x":[[1,2,3,4],[1,2]]}}', "different lengths"),
        (b'{"inputs":{"x":[[1,2,3,"4"]]}}', "text"),
        (b'{"inputs":{"x":[[1,2,3,null]]}}', "null"),
        (b'{"inputs":{"x":[[1,2,3,NaN]]}}', "not JSON"),
        (b'{"inputs":{"x":[[1,2,3,1e39]]}}', "FP32"),
        (b'{"inputs":{"x":[]}}', "no values"),
        (b'{"inputs":{"y":[[1,2,3,4]]}}', "'y' unknown"),
        (b'{"inputs":{}}', "'x' missing"),
        (b"{}", "'x' missing"),
        (b'{"inputs":[[1,2,3,4]],"instances":[[1,2,3,4]]}', "Beside 'instances'"),
        (b'{"inputs":[[1,2,3,4]],"color":1}', "'color'"),
        (b'{"instances":[]}', "at least one row"),
        (b"7", "shape"),
    ],
)
def test_json_that_does_not_fit_is_refused_in_words(
    decode: Decode, iris: VersionInfo, body: bytes, message: str
) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        decode(iris, body)
    assert caught.value.code is Code.INVALID_INPUT


@pytest.mark.parametrize(
    ("datatype", "good", "bad"),
    [
        ("BOOL", b"true", b"2"),
        ("INT8", b"-128", b"128"),
        ("UINT8", b"255", b"-1"),
        ("UINT32", b"4294967295", b"4294967296"),
        ("INT64", b"-9223372036854775808", b"9223372036854775808"),
        ("UINT64", b"18446744073709551615", b"-1"),
        ("FP16", b"65504", b"65536"),
        ("FP64", b"1e300", b'"1"'),
    ],
)
def test_numbers_are_held_to_the_limits_of_their_datatype(
    decode: Decode, version_info: Build, datatype: str, good: bytes, bad: bytes
) -> None:
    version = version_info([("x", datatype, (-1,))])

    assert decode(version, b'{"inputs":[%b]}' % good).rows == 1
    with pytest.raises(RequestError):
        decode(version, b'{"inputs":[%b]}' % bad)


def test_inputs_must_agree_on_their_rows(decode: Decode, version_info: Build) -> None:
    version = version_info([("a", "FP32", (-1,)), ("b", "FP32", (-1,))])

    with pytest.raises(RequestError, match="'a' has 2, 'b' has 1"):
        decode(version, b'{"inputs":{"a":[1,2],"b":[1]}}')


def test_an_input_may_be_named_like_a_word_of_the_envelope(decode: Decode, version_info: Build) -> None:
    version = version_info([("inputs", "FP32", (-1, 2))])

    assert values(decode(version, b'{"inputs":[[1,2]]}')) == {"inputs": [[1.0, 2.0]]}


def test_names_that_python_does_not_know_are_fine(decode: Decode, version_info: Build) -> None:
    version = version_info([("data:0", "FP32", (-1, 1)), ("class", "INT32", (-1,))])

    assert values(decode(version, b'{"inputs":{"data:0":[[1]],"class":[2]}}')) == {"data:0": [[1.0]], "class": [2]}


def test_large_json_takes_the_general_way(decode: Decode, version_info: Build) -> None:
    width = MAX_TYPED_BYTES // 2
    version = version_info([("x", "FP64", (-1, width))])

    request = decode(version, b'{"inputs":[[' + b",".join([b"1"] * width) + b"]]}")

    assert values(request) == {"x": [[1.0] * width]}


def test_a_model_without_rows_gets_one_value(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "FP32", (2, 2))], has_batch_dimension=False)

    request = decode(version, b'{"inputs":{"x":[[1,2],[3,4]]}}')

    assert (values(request), request.rows) == ({"x": [[1.0, 2.0], [3.0, 4.0]]}, 1)
    assert decode(version, bytes(16), RAW_TYPE).rows == 1


def test_a_scalar_alone_is_a_value(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "FP32", ())], has_batch_dimension=False)

    assert decode(version, b" 2.5").understood == "value"


def test_text_inputs_come_as_json_or_as_the_body(decode: Decode, version_info: Build) -> None:
    version = version_info([("text", "BYTES", (-1,))])

    request = decode(version, b'{"inputs":["a",{"b64":"AP8="}]}')
    assert request.inputs == {"text": Tensor("BYTES", (2,), [b"a", b"\x00\xff"])}
    plain = decode(version, "grüß".encode(), "text/plain; charset=utf-8")
    assert plain.inputs == {"text": Tensor("BYTES", (1,), ["grüß".encode()])}
    assert plain.understood == "text"


@pytest.mark.parametrize(
    ("content_type", "understood"),
    [("image/jpeg", "image"), ("application/pdf", "bytes"), (RAW_TYPE, "raw"), (None, "raw")],
)
def test_any_type_goes_to_a_model_that_takes_bytes(
    decode: Decode, version_info: Build, content_type: str | None, understood: str
) -> None:
    file = BytesIO()
    Image.new("RGB", (2, 2)).save(file, "JPEG")
    version = version_info([("image", "BYTES", (-1,))])

    request = decode(version, file.getvalue(), content_type)

    assert request.inputs == {"image": Tensor("BYTES", (1,), [file.getvalue()])}
    assert (request.rows, request.understood) == (1, understood)


def test_npy_keeps_its_shape(decode: Decode, iris: VersionInfo) -> None:
    request = decode(iris, npy(np.array(ROWS, "f4")), "application/x-npy")

    assert values(request) == {"x": np.array(ROWS, "f4").tolist()}
    assert request.understood == "npy"


def test_the_same_rows_are_the_same_in_every_form(decode: Decode, iris: VersionInfo) -> None:
    """A row must not pass in one form and fail, or change, in another."""
    forms = [
        (b'{"inputs":[[5.1,3.5,1.4,0.2],[6.0,3.0,5.1,1.8]]}', "application/json"),
        (b"5.1,3.5,1.4,0.2\n6.0,3.0,5.1,1.8\n", "text/csv"),
        (npy(np.array(ROWS)), "application/x-npy"),
        (RAW, RAW_TYPE),
        (RAW, None),
    ]
    requests = [decode(iris, body, content_type) for body, content_type in forms]

    assert all(values(request) == values(requests[0]) for request in requests)
    assert {request.group for request in requests} == {("serving_default", ("x", "FP32", (4,)))}


def test_a_form_has_a_field_for_each_input(decode: Decode, version_info: Build) -> None:
    version = version_info([("a", "FP32", (-1, 2)), ("b", "BYTES", (-1,))])
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\n[[1,2]]\r\n'
        b'--B\r\nContent-Disposition: form-data; name="b"; filename="b"\r\n\r\n\x00\x01\r\n--B--\r\n'
    )

    request = decode(version, body, "multipart/form-data; boundary=B")

    assert values(request) == {"a": [[1.0, 2.0]], "b": [b"\x00\x01"]}
    assert request.understood == "form"


def test_curl_without_a_type_says_form_and_means_json(decode: Decode, iris: VersionInfo) -> None:
    request = decode(iris, b' {"inputs":[[1,2,3,4]]}', "application/x-www-form-urlencoded")

    assert (request.rows, request.understood) == (1, "inputs")


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "image/png", "application/xml"])
def test_a_type_that_holds_no_numbers_is_refused(decode: Decode, iris: VersionInfo, content_type: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode(iris, b"a=1", content_type)
    assert caught.value.code is Code.UNSUPPORTED_MEDIA_TYPE


def test_a_packed_body_is_unpacked(decode: Decode, iris: VersionInfo) -> None:
    assert decode(iris, gzip.compress(RAW), RAW_TYPE, Content_Encoding="gzip").rows == 2


def test_a_packed_body_is_held_to_the_limit(decode: Decode, iris: VersionInfo) -> None:
    with pytest.raises(RequestError) as caught:
        decode(iris, gzip.compress(bytes(1_000_016)), RAW_TYPE, Content_Encoding="gzip")
    assert caught.value.code is Code.PAYLOAD_TOO_LARGE


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("application/json", AnswerKind.JSON),
        ("*/*", AnswerKind.JSON),
        ("text/html", AnswerKind.JSON),
        ("application/octet-stream", AnswerKind.RAW),
        ("application/x-npy", AnswerKind.NPY),
        ("text/plain, Application/X-NPY, application/json;q=0.9", AnswerKind.NPY),
    ],
)
def test_accept_chooses_the_form_of_the_answer(
    decode: Decode, iris: VersionInfo, accept: str, answer: AnswerKind
) -> None:
    assert decode(iris, RAW, RAW_TYPE, Accept=accept).answer is answer


@pytest.mark.parametrize(
    ("outputs", "accept"),
    [
        ([("a", "FP32", (-1,)), ("b", "FP32", (-1,))], "application/octet-stream"),
        ([("a", "BYTES", (-1,))], "application/x-npy"),
        ([("a", "BF16", (-1,))], "application/x-npy"),
    ],
)
def test_an_answer_that_cannot_be_given_is_refused_before_the_model_runs(
    decode: Decode, version_info: Build, outputs: Any, accept: str
) -> None:
    with pytest.raises(RequestError, match=r"outputs|datatype"):
        decode(version_info([("x", "FP32", (-1,))], outputs), bytes(4), RAW_TYPE, Accept=accept)


def test_raw_answers_may_be_text(decode: Decode, version_info: Build) -> None:
    version = version_info([("x", "FP32", (-1,))], [("a", "BYTES", (-1,))])

    assert decode(version, bytes(4), RAW_TYPE, Accept="application/octet-stream").answer is AnswerKind.RAW


def test_a_named_signature_is_used(decode: Decode, version_info: Build) -> None:
    other = Signature(inputs=(TensorSpec(name="y", datatype="FP32", shape=(-1, 1)),), outputs=())
    version = version_info(signatures={"other": other})

    request = decode(version, b"[[1]]", query="?signature=other")

    assert (request.signature_name, values(request)) == ("other", {"y": [[1.0]]})
    with pytest.raises(RequestError, match="'serving_default'; it has: other") as caught:
        decode(version, b"[[1]]")
    assert caught.value.code is Code.SIGNATURE_NOT_FOUND


def test_a_model_s_own_code_gets_the_body_and_no_secrets(decode: Decode, version_info: Build) -> None:
    body = b'{"a": 1}'

    request = decode(version_info(), body, Authorization="Bearer k", Cookie="c", X_Custom="kept")

    assert request.inputs is None
    assert request.body is not None
    (part,) = request.body.parts
    assert (part.name, part.content_type) == ("body", "application/json")
    assert part.data is body
    assert dict(request.body.headers) == {"X-Custom": "kept", "Content-Type": "application/json"}
    assert (request.rows, request.understood) == (1, "body")


def test_a_model_s_own_code_gets_a_form_in_parts(decode: Decode, version_info: Build) -> None:
    body = (
        b'--B\r\nContent-Disposition: form-data; name="a"\r\n\r\none\r\n'
        b'--B\r\nContent-Disposition: form-data; name="f"; filename="f"\r\nContent-Type: image/png\r\n\r\nP\r\n--B--'
    )

    request = decode(version_info(), gzip.compress(body), "multipart/form-data; boundary=B", Content_Encoding="gzip")

    assert request.body is not None
    assert [(part.name, part.content_type, part.data) for part in request.body.parts] == [
        ("a", "text/plain", b"one"),
        ("f", "image/png", b"P"),
    ]


def test_a_model_s_own_code_needs_no_signature_and_no_type(decode: Decode, version_info: Build) -> None:
    version = version_info(signatures={}, payload=PayloadKind.BODY)

    request = decode(version, b"x", None)

    assert request.body is not None
    assert request.body.parts[0].content_type == ""
    with pytest.raises(RequestError, match="it has: none"):
        decode(version, b"x", None, query="?signature=s")


def test_a_route_works_with_the_version_that_it_meets(
    exchange: Callable[..., Any], version_info: Build, iris: VersionInfo
) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/iris/labels/stable/predict")
    assert route is not None
    assert (route.wire, route.operation, route.model, route.label) == ("native", "models.predict", "iris", "stable")
    sent = exchange(RAW, headers={"Content-Type": RAW_TYPE})

    assert route.decode(sent, iris).rows == 2
    assert route.decode(sent, iris).inputs == {"x": Tensor("FP32", (2, 4), RAW)}
    assert route.decode(sent, version_info([("z", "FP64", (-1, 2))])).inputs == {"z": Tensor("FP64", (2, 2), RAW)}


def test_of_a_repeated_header_the_first_counts(exchange: Callable[..., Any], iris: VersionInfo) -> None:
    route = NativeWire().predict_route(b"POST", b"/api/v1/models/iris/predict")
    assert route is not None
    headers = [
        (b"CONTENT-TYPE", RAW_TYPE.encode()),
        (b"content-type", b"application/json"),
        (b"Something-Of", b"the same length"),
        (b"Cookie", b"six letters"),
        (b"X-Sixteen-Letter", b"gzip"),
    ]

    assert route.decode(exchange(RAW, headers=headers), iris).rows == 2


def test_events_ask_a_model_that_gives_parts_for_them(decode: Decode, version_info: Build) -> None:
    signature = ([("x", "FP32", (-1, 1))], [("p", "FP32", (-1, 1)), ("q", "FP32", (-1, 1))])
    plain, parted = version_info(*signature), version_info(*signature, gives_parts=True)
    events = "text/event-stream"

    assert not decode(plain, b"[[1]]", Accept=events).wants_parts
    assert not decode(parted, b"[[1]]").wants_parts
    one, other = decode(parted, b"[[1]]", Accept=events), decode(parted, b"[[1]]", Accept=events)
    assert one.wants_parts
    assert one.group != other.group
    assert one.answer is AnswerKind.EVENTS


def test_events_ask_a_model_of_bodies_for_parts(decode: Decode, version_info: Build) -> None:
    request = decode(version_info(), b"a", Accept="text/event-stream")

    assert (request.wants_parts, request.answer, request.group) == (True, AnswerKind.EVENTS, ("body",))
    assert not decode(version_info(), b"a", Accept="application/json").wants_parts


def test_a_signature_without_rows_is_asked_alone_and_whole(decode: Decode, version_info: Build) -> None:
    vector = TensorSpec(name="x", datatype="FP32", shape=(-1,))
    total = Signature(inputs=(vector,), outputs=(TensorSpec(name="y", datatype="FP32", shape=()),))
    row = Signature(inputs=(vector,), outputs=(vector,))
    version = version_info(signatures={"serving_default": row, "total": total}, unbatched=("total",))

    first, second = (decode(version, b"[1, 2, 3]", query="?signature=total") for _ in range(2))
    assert first.group != second.group
    assert (first.rows, second.rows) == (1, 1)
    assert decode(version, b"[1, 2, 3]").rows == 3


@pytest.mark.parametrize(("body", "shape"), [(b"2.5", ()), (b"[1, 2]", (2,)), (b"[[1], [2]]", (2, 1))])
def test_an_input_of_unknown_rank_takes_any_shape(
    decode: Decode, version_info: Build, body: bytes, shape: tuple[int, ...]
) -> None:
    free = TensorSpec(name="x", datatype="FP32", shape=(-1,), has_rank=False)
    version = version_info(signatures={"serving_default": Signature(inputs=(free,), outputs=())})
    request = decode(version, body)
    assert request.inputs is not None
    assert request.inputs["x"].shape == shape
