import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.wire.native.addresses import PredictAddress, model_path, parse_predict


@pytest.mark.parametrize(
    ("target", "address"),
    [
        ("/api/v1/models/m/predict", PredictAddress(model="m")),
        ("/api/v1/models/m/versions/12/predict", PredictAddress(model="m", version=12)),
        ("/api/v1/models/m/labels/canary/predict", PredictAddress(model="m", label="canary")),
        ("/api/v1/models/a%20b%2Fc/predict", PredictAddress(model="a b/c")),
        ("/api/v1/models/m/labels/%C3%A9/predict", PredictAddress(model="m", label="é")),
        ("/api/v1/models/m/predict?signature=s%201&x=2", PredictAddress(model="m", signature="s 1")),
        ("/api/v1/models/m/predict?", PredictAddress(model="m")),
        ("/api/v1/models/m/predict?x=1", PredictAddress(model="m")),
    ],
)
def test_prediction_addresses_are_taken_apart(target: str, address: PredictAddress) -> None:
    assert parse_predict(target.encode()) == address


@pytest.mark.parametrize(
    "target",
    [
        b"/api/v1/models/m",
        b"/api/v1/models//predict",
        b"/api/v1/models/m/predict/",
        b"/api/v1/models/m/versions/x/predict",
        b"/api/v1/models/m/versions/-1/predict",
        b"/api/v1/models/m/versions/1234567890123456789/predict",
        b"/api/v1/models/m/versions/1/labels/a/predict",
        b"/api/v1/models/a/b/predict",
        b"/api/v2/models/m/predict",
        b"/api/v1/models/m/predict#fragment",
        b"/api/v1/models/%ff/predict",
        b"/api/v1/models/\xff/predict",
        b"/api/v1/models/m/predict?signature=%ff",
        b"/predictions/m",
        b"",
    ],
)
def test_other_addresses_are_none(target: bytes) -> None:
    assert parse_predict(target) is None


@given(st.binary(max_size=80))
def test_no_bytes_break_the_parsing(tail: bytes) -> None:
    for target in (tail, b"/api/v1/models/" + tail + b"/predict", b"/api/v1/models/m/predict?" + tail):
        parse_predict(target)


@given(st.text(min_size=1), st.none() | st.integers(0, 10**17), st.none() | st.text(min_size=1))
def test_a_written_address_reads_back(model: str, version: int | None, label: str | None) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in model + (label or "")):
        return
    address = parse_predict(f"{model_path(model, version, label)}/predict".encode())

    assert address == PredictAddress(model=model, version=version, label=None if version is not None else label)
