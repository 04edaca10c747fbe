"""What bodies become, for handlers and for models that take tensors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.operations.base import Exchange
from salver.types import Body, InferRequest, Part, Signature, SlabSlice, Tensor, VersionInfo
from salver.wire.forms import MAX_FIELDS, Field, parse_multipart, parse_urlencoded
from salver.wire.torchserve.inference import MmsWire

Build = Callable[..., VersionInfo]
Recorded = Callable[[str], Exchange]
MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}


def decode(exchange: Exchange, version: VersionInfo) -> InferRequest:
    route = MmsWire(lambda: None).predict_route(exchange.method, exchange.target)
    assert route is not None
    return route.decode(exchange, version)


def parts_of(exchange: Exchange, version: VersionInfo) -> tuple[Part, ...]:
    body = decode(exchange, version).body
    assert body is not None
    return body.parts


def refusal(exchange: Exchange, version: VersionInfo) -> RequestError:
    with pytest.raises(RequestError) as caught:
        decode(exchange, version)
    return caught.value


# Handlers


def test_an_upload_reaches_a_handler_as_the_part_body(recorded: Recorded, version_info: Build, picture: bytes) -> None:
    version = version_info()
    request = decode(recorded("upload"), version)
    assert request.version is version
    assert request.rows == 1
    assert request.inputs is None
    assert request.body == Body(
        (Part("body", "", picture),),
        {
            "Host": "127.0.0.1:8080",
            "User-Agent": "curl/7.88.1",
            "Accept": "*/*",
            "Content-Length": "646",
            "Expect": "100-continue",
        },
    )


def test_a_files_field_reaches_a_handler_under_its_name_with_its_type(
    recorded: Recorded, version_info: Build, picture: bytes
) -> None:
    assert parts_of(recorded("form_file"), version_info()) == (Part("data", "image/jpeg", picture),)


def test_text_fields_have_no_type_the_last_of_a_name_wins_and_the_query_joins_on_invocations(
    recorded: Recorded, version_info: Build, picture: bytes
) -> None:
    assert parts_of(recorded("form_mixed"), version_info()) == (
        Part("model_name", "", b"squeezenet"),
        Part("top", "", b"3"),
        Part("data", "image/png", picture),
        Part("note", "", b"a kitten"),
        Part("meta", "", b'{"a":1}'),
    )


def test_urlencoded_fields_are_unescaped(recorded: Recorded, version_info: Build) -> None:
    assert parts_of(recorded("urlencoded"), version_info()) == (
        Part("text", "", b"a small cat"),
        Part("lang", "", b"fr"),
    )


def test_a_content_type_reaches_a_handler_without_its_parameters(recorded: Recorded, version_info: Build) -> None:
    (part,) = parts_of(recorded("json"), version_info())
    assert (part.name, part.content_type) == ("body", "application/json")


@pytest.mark.parametrize("path", [b"/invocations?model_name=m&", b"/models/m/invoke?", b"/m/predict?"])
def test_a_query_becomes_inputs_under_a_field_of_the_same_name(
    path: bytes, exchange: Callable[..., Exchange], version_info: Build
) -> None:
    form = exchange(
        b"a=form",
        target=path + b"a=query&b=%C3%BC+x&c",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    parts = {part.name: part.data for part in parts_of(form, version_info())}
    parts.pop("model_name", None)
    assert parts == {"a": b"form", "b": "ü x".encode(), "c": b""}


def test_a_query_is_no_input_on_predictions(exchange: Callable[..., Exchange], version_info: Build) -> None:
    assert parts_of(exchange(b"x", target=b"/predictions/m?a=1"), version_info()) == (Part("body", "", b"x"),)


def test_an_empty_body_is_an_empty_part(exchange: Callable[..., Exchange], version_info: Build) -> None:
    assert parts_of(exchange(b"", method=b"GET", target=b"/predictions/m"), version_info()) == (Part("body", "", b""),)


def test_the_callers_credentials_do_not_reach_a_handler(exchange: Callable[..., Exchange], version_info: Build) -> None:
    headers = {"Authorization": "Bearer k", "COOKIE": "s=1", "Proxy-Authorization": "b", "X-Mine": "caf\xe9"}
    request = decode(exchange(b"x", target=b"/predictions/m", headers=headers), version_info())
    assert request.body is not None
    assert request.body.headers == {"X-Mine": "café"}


def test_a_slab_slice_reaches_a_handler_without_a_copy(exchange: Callable[..., Exchange], version_info: Build) -> None:
    piece = SlabSlice(NoOwner(), 0, memoryview(b"big"))
    (part,) = parts_of(exchange(piece, target=b"/predictions/m"), version_info())
    assert part.data is piece


class NoOwner:
    def free(self, piece: SlabSlice) -> None:
        raise AssertionError("a wire must not give memory back")


# Models that take tensors


@pytest.mark.parametrize("name", ["upload", "form_file", "form_mixed"])
def test_an_image_is_one_element_however_curl_sends_it(
    name: str, recorded: Recorded, version_info: Build, picture: bytes
) -> None:
    version = version_info([("image", "BYTES", (-1,))])
    request = decode(recorded(name), version)
    assert request.version is version
    assert request.body is None
    assert request.inputs == {"image": Tensor("BYTES", (1,), [picture])}
    assert (request.rows, request.signature_name) == (1, "serving_default")


def test_an_image_groups_alike_however_it_is_sent(recorded: Recorded, version_info: Build) -> None:
    version = version_info([("image", "BYTES", (-1,))])
    groups = {decode(recorded(name), version).group for name in ("upload", "form_file")}
    assert groups == {("serving_default", ("image", "BYTES", ()))}


@pytest.mark.parametrize("name", ["json", "json_untyped"])
def test_json_is_read_with_its_content_type_and_behind_the_one_that_curl_makes_up(
    name: str, recorded: Recorded, version_info: Build
) -> None:
    request = decode(recorded(name), version_info([("x", "FP32", (-1, 4))]))
    assert request.inputs is not None
    assert request.inputs["x"].data.tolist() == [pytest.approx([5.1, 3.5, 1.4, 0.2])]
    assert request.group == ("serving_default", ("x", "FP32", (4,)))


def test_json_for_a_bytes_input_is_a_list_of_texts(exchange: Callable[..., Exchange], version_info: Build) -> None:
    body = exchange(b'["a", "b"]', target=b"/predictions/m", headers={"content-type": "application/json"})
    request = decode(body, version_info([("t", "BYTES", (-1,))]))
    assert (request.rows, request.inputs) == (2, {"t": Tensor("BYTES", (2,), [b"a", b"b"])})


def test_text_fields_are_numbers_for_numeric_inputs(exchange: Callable[..., Exchange], version_info: Build) -> None:
    form = exchange(
        b"a=1,2&b=[3]&unread=x",
        target=b"/predictions/m",
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    request = decode(form, version_info([("a", "FP32", (-1, 2)), ("b", "INT64", (-1,))]))
    assert request.inputs is not None
    assert [tensor.data.tolist() for tensor in request.inputs.values()] == [[[1, 2]], [3]]


def test_a_file_without_a_type_is_raw_values(exchange: Callable[..., Exchange], version_info: Build) -> None:
    form = b'--b\r\nContent-Disposition: form-data; name="x"; filename="x.bin"\r\n\r\n\x01\x02\r\n--b--\r\n'
    request = decode(
        exchange(form, target=b"/predictions/m", headers=MULTIPART), version_info([("x", "UINT8", (-1, 2))])
    )
    assert request.inputs == {"x": Tensor("UINT8", (1, 2), b"\x01\x02")}


def test_a_raw_tensor_in_shared_memory_stays_there(exchange: Callable[..., Exchange], version_info: Build) -> None:
    piece = SlabSlice(NoOwner(), 0, memoryview(bytes(8)))
    request = decode(exchange(piece, target=b"/predictions/m"), version_info([("x", "FP32", (-1, 2))]))
    assert request.inputs is not None
    assert request.inputs["x"].data is piece


@pytest.mark.parametrize("datatype", ["BYTES", "FP32"])
def test_a_request_without_a_body_is_refused(
    datatype: str, exchange: Callable[..., Exchange], version_info: Build
) -> None:
    error = refusal(exchange(b"", method=b"GET", target=b"/predictions/m"), version_info([("x", datatype, (-1,))]))
    assert error.code is Code.INVALID_INPUT
    assert error.message == "The request has no body."


def test_an_element_cannot_fill_a_row_of_two(exchange: Callable[..., Exchange], version_info: Build) -> None:
    error = refusal(exchange(b"a", target=b"/predictions/m"), version_info([("x", "BYTES", (-1, 2))]))
    assert "a body is one" in error.message


def test_a_model_without_the_default_signature_names_those_it_has(
    exchange: Callable[..., Exchange], version_info: Build
) -> None:
    version = version_info(signatures={"other": Signature(inputs=(), outputs=())})
    error = refusal(exchange(b"a", target=b"/predictions/m"), version)
    assert error.code is Code.SIGNATURE_NOT_FOUND
    assert "the model has other" in error.message


def test_a_route_follows_a_version_that_was_replaced(exchange: Callable[..., Exchange], version_info: Build) -> None:
    route = MmsWire(lambda: None).predict_route(b"POST", b"/predictions/m")
    assert route is not None
    body = exchange(b"\0\0\0\0", target=b"/predictions/m")
    before, after = version_info([("x", "BYTES", (-1,))]), version_info([("x", "INT32", (-1,))])
    datatypes = [(route.decode(body, info).inputs or {})["x"].datatype for info in (before, before, after)]
    assert datatypes == ["BYTES", "BYTES", "INT32"]


# Malformed forms

FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n'


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "does not begin with the boundary"),
        (b"preamble\r\n" + FIELD + b"--b--\r\n", "does not begin with the boundary"),
        (FIELD, "last boundary is missing"),
        (FIELD + b"--b", "does not end its line"),
        (FIELD + b"--b   \r\n", "does not end its line"),
        (FIELD + b"--bc\r\n", "does not end its line"),
        (b"--b\r\nno colon\r\n\r\n1\r\n--b--", "no proper headers"),
        (b"--b\r\n" + b"a: b\r\n" * 9 + b"\r\n1\r\n--b--", "no proper headers"),
        (b"--b\r\na: " + b"b" * 5000 + b"\r\n\r\n1\r\n--b--", "no proper headers"),
        (b"--b\r\n\r\n1\r\n--b--", "no name"),
        (b"--b\r\nContent-Disposition: form-data\r\n\r\n1\r\n--b--", "no name"),
        (b'--b\r\nContent-Disposition: form-data; name="' + b"n" * 1025 + b'"\r\n\r\n1\r\n--b--', "longer than 1024"),
        (FIELD.replace(b"\r\n\r\n", b"\r\nContent-Transfer-Encoding: base64\r\n\r\n") + b"--b--", "Transfer-Encoding"),
        (FIELD * (MAX_FIELDS + 1) + b"--b--", "more than 100 fields"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\n--b--', "ends in the middle"),
    ],
)
def test_a_malformed_form_is_a_bad_request(
    body: bytes, reason: str, exchange: Callable[..., Exchange], version_info: Build
) -> None:
    error = refusal(exchange(body, target=b"/predictions/m", headers=MULTIPART), version_info())
    assert error.code is Code.INVALID_INPUT
    assert reason in error.message


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 300],
)
def test_a_form_without_a_proper_boundary_is_a_bad_request(
    content_type: str, exchange: Callable[..., Exchange], version_info: Build
) -> None:
    body = exchange(b"--" + b"b" * 300 + b"--", target=b"/predictions/m", headers={"Content-Type": content_type})
    assert refusal(body, version_info()).code is Code.INVALID_INPUT


def test_a_form_may_have_as_many_fields_as_the_limit(exchange: Callable[..., Exchange], version_info: Build) -> None:
    fields = b"".join(FIELD.replace(b'"a"', b'"a%d"' % number) for number in range(MAX_FIELDS))
    form = exchange(fields + b"--b--", target=b"/predictions/m", headers=MULTIPART)
    assert len(parts_of(form, version_info())) == MAX_FIELDS


@pytest.mark.parametrize(
    "form",
    [
        FIELD + b"--b--",
        b"\r\n" + FIELD + b"--b--\r\n",
        FIELD + b"--b--\r\n" + b"junk\r\n--b\r\n" * 1000,
        FIELD.replace(b"\r\n\r\n", b"\r\nX-Empty:\r\nContent-Transfer-Encoding: binary\r\n\r\n") + b"--b--",
    ],
)
def test_what_stands_around_a_form_is_not_read(
    form: bytes, exchange: Callable[..., Exchange], version_info: Build
) -> None:
    assert parts_of(exchange(form, target=b"/predictions/m", headers=MULTIPART), version_info()) == (
        Part("a", "", b"1"),
    )


def test_fields_may_be_empty_and_hold_what_looks_like_a_boundary(
    exchange: Callable[..., Exchange], version_info: Build
) -> None:
    form = FIELD.replace(b"\r\n1\r\n", b"\r\n\r\n") + FIELD.replace(b'"a"', b'"c"').replace(b"1", b"x--b\n--b--\r\n-")
    parts = parts_of(exchange(form + b"--b--", target=b"/predictions/m", headers=MULTIPART), version_info())
    assert parts == (Part("a", "", b""), Part("c", "", b"x--b\n--b--\r\n-"))


def test_a_form_in_any_buffer_is_read(exchange: Callable[..., Exchange], version_info: Build) -> None:
    piece: Any = SlabSlice(NoOwner(), 0, memoryview(bytearray(FIELD + b"--b--\r\n")))
    form = exchange(piece, target=b"/predictions/m", headers=MULTIPART)
    assert parts_of(form, version_info()) == (Part("a", "", b"1"),)
    piece.view.release()


def test_too_many_urlencoded_fields_are_a_bad_request(exchange: Callable[..., Exchange], version_info: Build) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    form = exchange(b"a=1&" * MAX_FIELDS, target=b"/predictions/m", headers=headers)
    assert "more than 100 fields" in refusal(form, version_info()).message
    form = exchange(b"a=1&" * (MAX_FIELDS - 1), target=b"/predictions/m", headers=headers)
    assert parts_of(form, version_info()) == (Part("a", "", b"1"),)


FRAGMENTS = [
    b"--b", b"--", b"\r\n", b"\r", b"\n", b" ", b":", b";", b'"', b"a", b"=", b"&", b"%f", b"+", b"\0", b"\xff",
    b"Content-Disposition: form-data; name=", b"\r\n--b\r\n", b"\r\n--b--",
]  # fmt: skip


@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map(b"".join))
def test_any_bytes_are_a_form_or_a_bad_request(body: bytes) -> None:
    multipart = outcome(lambda: parse_multipart(b"--b\r\n" + body, "multipart/form-data; boundary=b"))
    urlencoded = outcome(lambda: parse_urlencoded(body))
    assert {multipart, urlencoded} <= {"fields", Code.INVALID_INPUT}


def outcome(parse: Callable[[], list[Field]]) -> str | Code:
    try:
        return "fields" if len(parse()) <= MAX_FIELDS else "too many"
    except RequestError as error:
        return error.code
