"""Which addresses are predictions, and what the wire says to all others."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from salver.operations.base import Request
from salver.wire.base import Wire
from salver.wire.openinference import OpenInferenceWire
from salver.wire.openinference.addresses import MAX_INT64, parse_infer, version_number


@pytest.mark.parametrize(
    ("target", "model", "version"),
    [
        (b"/v2/models/m/infer", "m", None),
        (b"/v2/models/m/infer?a=b", "m", None),
        (b"/v2/models/a%20b/versions/3/infer", "a b", 3),
        (b"/v2/models/%ff/infer", "\N{REPLACEMENT CHARACTER}", None),
        (b"/v2/models/m/versions/007/infer", "m", 7),
        (b"/v2/models/m/versions/99999999999999999999/infer", "m", MAX_INT64),
    ],
)
def test_an_address_names_a_model_and_perhaps_a_version(target: bytes, model: str, version: int | None) -> None:
    assert parse_infer(target) == (model, version)


@pytest.mark.parametrize(
    "target",
    [b"/v2/models/m", b"/v2/models//infer", b"/v2/models/m/versions/a/infer", b"/v2/models/m/infer/", b"/v2/m/infer"],
)
def test_other_addresses_are_no_predictions(wire: OpenInferenceWire, target: bytes) -> None:
    assert wire.predict_route(b"POST", target) is None


def test_only_post_predicts(wire: OpenInferenceWire) -> None:
    assert wire.predict_route(b"GET", b"/v2/models/m/infer") is None


def test_versions_have_no_leading_zeros_and_no_more_than_64_bits() -> None:
    assert (version_number("0"), version_number("010")) == (0, 10)
    assert version_number(str(MAX_INT64 + 1)) == MAX_INT64


def test_it_is_a_wire(wire: OpenInferenceWire) -> None:
    checked: Wire = wire
    assert checked.name == "openinference"


@pytest.mark.parametrize(("path", "is_owned"), [("/v2", True), ("/v2/x", True), ("/v2x", False), ("/v1/models", False)])
def test_it_owns_what_is_below_v2(wire: OpenInferenceWire, path: str, is_owned: bool) -> None:
    assert wire.owns(path) is is_owned


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("GET", "/v2/nothing", 404, "Not Found"),
        ("POST", "/v2/models/m/versions/a/infer", 404, "Not Found"),
        ("GET", "/v2/models/m/infer", 405, "Method Not Allowed"),
        ("DELETE", "/v2/models/m/versions/1/infer", 405, "Method Not Allowed"),
    ],
)
def test_what_matches_nothing_is_told_in_the_originals_words(
    wire: OpenInferenceWire, ordinary_request: Callable[..., Request], method: str, path: str, status: int, text: str
) -> None:
    answer = wire.unmatched(ordinary_request(method, path))
    assert (answer.status, orjson.loads(answer.body)) == (status, {"error": text})
