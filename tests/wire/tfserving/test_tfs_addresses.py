"""The table of addresses: what matches, what it means, and what the original says to the rest."""

from __future__ import annotations

import pytest

from salver.wire.tfserving.addresses import Address, AddressError, Verb, malformed, parse_address

MEANINGS = [
    ("POST", "/v1/models/m:predict", Address(Verb.PREDICT, "m")),
    ("POST", "/v1/models/m:classify", Address(Verb.CLASSIFY, "m")),
    ("POST", "/v1/models/m:regress", Address(Verb.REGRESS, "m")),
    ("POST", "/V1/Models/m:predict", Address(Verb.PREDICT, "m")),
    ("POST", "/v1/models/M:PREDICT", Address(Verb.PREDICT, "M")),
    ("POST", "/v1/models/m/versions/123:predict", Address(Verb.PREDICT, "m", 123)),
    ("POST", "/v1/models/m/versions/00000123:predict", Address(Verb.PREDICT, "m", 123)),
    ("POST", "/v1/models/m/versions/0:predict", Address(Verb.PREDICT, "m", 0)),
    ("POST", "/v1/models/m/versions/9223372036854775807:predict", Address(Verb.PREDICT, "m", 2**63 - 1)),
    ("POST", "/v1/models/m/labels/stable:predict", Address(Verb.PREDICT, "m", None, "stable")),
    ("POST", "/v1/models/m/labels/a%20b:predict", Address(Verb.PREDICT, "m", None, "a b")),
    ("POST", "/v1/models/my%20model%3a:predict", Address(Verb.PREDICT, "my model:")),
    ("POST", "/v1/models/m:predict?key=value:predict", Address(Verb.PREDICT, "m")),
    ("POST", "/v1/models/%ff:predict", Address(Verb.PREDICT, "\ufffd")),
    ("GET", "/v1/models/m", Address(Verb.STATUS, "m")),
    ("GET", "/v1/models/m/versions/3", Address(Verb.STATUS, "m", 3)),
    ("GET", "/v1/models/m/labels/stable", Address(Verb.STATUS, "m", None, "stable")),
    ("GET", "/v1/models/m/metadata", Address(Verb.METADATA, "m")),
    ("GET", "/v1/models/m/versions/3/metadata", Address(Verb.METADATA, "m", 3)),
    ("GET", "/v1/models/m/labels/stable/metadata", Address(Verb.METADATA, "m", None, "stable")),
    ("GET", "/v1/models/metadata", Address(Verb.STATUS, "metadata")),
]


@pytest.mark.parametrize(("method", "target", "meaning"), MEANINGS)
def test_an_address_means_a_model_a_place_and_a_verb(method: str, target: str, meaning: Address) -> None:
    assert parse_address(method, target.encode()) == meaning


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/v1/models/m:predict"),
        ("POST", "/v1/models/m"),
        ("POST", "/v1/models/m/metadata"),
        ("PUT", "/v1/models/m:predict"),
        ("DELETE", "/v1/models/m"),
        ("HEAD", "/v1/models/m"),
        ("POST", "/v1/models/m:predict/"),
        ("POST", "/v1/models/m:explain"),
        ("POST", "/v1/models/:predict"),
        ("POST", "/v1/models/a/b:predict"),
        ("POST", "/v1/models/m/versions/x:predict"),
        ("POST", "/v1/models/m/versions/-1:predict"),
        ("POST", "/v1/models/m/versions/1/labels/x:predict"),
        ("GET", "/v1/models/m/"),
        ("GET", "/v1/model/m"),
        ("GET", "/v2/models/m"),
    ],
)
def test_everything_else_has_no_meaning(method: str, target: str) -> None:
    assert parse_address(method, target.encode()) is None


@pytest.mark.parametrize("target", ["/v1/models", "/v1/models/versions/3", "/v1/models/labels/x/metadata"])
def test_an_address_without_a_name_says_so(target: str) -> None:
    with pytest.raises(AddressError, match=r"^Missing model name in request\.$"):
        parse_address("GET", target.encode())


@pytest.mark.parametrize("digits", ["9223372036854775808", "1" * 5000])
def test_a_version_above_int64_is_refused(digits: str) -> None:
    with pytest.raises(AddressError, match=f"^Failed to convert version: {digits} to numeric\\.$"):
        parse_address("POST", f"/v1/models/m/versions/{digits}:predict".encode())


def test_many_leading_zeros_are_still_a_number() -> None:
    assert parse_address("GET", b"/v1/models/m/versions/" + b"0" * 5000 + b"7") == Address(Verb.STATUS, "m", 7)


def test_the_text_for_a_malformed_request_leaves_the_query_out() -> None:
    assert malformed("PUT", b"/v1/models/m\xff?x=1") == "Malformed request: PUT /v1/models/m\ufffd"
