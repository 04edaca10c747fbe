"""The same table gives the same tensors, or the same refusal, whatever format brings it."""

from __future__ import annotations

import datetime as dt
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.serving.payload import body_to_inputs
from salver.serving.payload.policy import Policy
from salver.types import Part, Signature, TensorSpec, as_array
from salver_worker.frames import NUMPY_NAMES
from table_bodies import ARROW_TYPES, Body, Columns, bodies, npy

NUMBERS = [name for name in NUMPY_NAMES if name != "BF16"]
POLICIES = [Policy(), Policy(missing_is_nan=True), Policy(dates="ms"), Policy(missing_is_nan=True, dates="us")]
LIMITS = {
    kind: (0, 2 ** int(kind[4:]) - 1) if kind[0] == "U" else (-(2 ** (int(kind[3:]) - 1)), 2 ** (int(kind[3:]) - 1) - 1)
    for kind in ARROW_TYPES
    if "INT" in kind
}
TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=5)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
DATES = st.integers(-(2**51), 2**52).map(lambda us: EPOCH + dt.timedelta(microseconds=us))


def values_of(kind: str) -> st.SearchStrategy[Any]:
    if kind == "BOOL":
        return st.booleans()
    if kind == "FP32":
        return st.floats(width=32, allow_nan=True)
    if kind == "FP64":
        return st.floats() | st.integers(-(2**40), 2**40).map(float)
    if kind == "DATE":
        return DATES | DATES.map(lambda value: value.replace(microsecond=0))
    if kind == "TEXT":
        # What CSV could take for something else, a number or nothing, is said in the page to differ.
        return TEXTS.map(lambda text: f"word {text}.")
    low, high = LIMITS[kind]
    return st.integers(low, high) | st.sampled_from([low, high, 0, 1, min(2, high)])


@st.composite
def tables(draw: st.DrawFn) -> Columns:
    rows = draw(st.integers(1, 5))
    names = draw(st.lists(st.sampled_from(["a", "b c", "ü", "d,e"]), min_size=1, max_size=3, unique=True))
    table = {}
    for name in names:
        kind = draw(st.sampled_from(list(ARROW_TYPES)))
        values = draw(
            st.lists(values_of(kind) if kind == "TEXT" else st.none() | values_of(kind), min_size=rows, max_size=rows)
        )
        if draw(st.booleans()):
            values = [value if value is not None else draw(values_of(kind)) for value in values]
        table[name] = (kind, values)
    return table


def outcome(body: Body, signature: Signature, policy: Policy) -> Any:
    """The tensors as bytes that can be compared, or the code of a refusal; anything else raised is a fault of ours."""
    try:
        inputs, rows = body_to_inputs([Part("body", *body)], signature, policy)
    except RequestError as error:
        return error.code
    return rows, {
        name: (tensor.datatype, tensor.shape, tensor.data if tensor.datatype == "BYTES" else as_array(tensor).tobytes())
        for name, tensor in inputs.items()
    }


def same_by_every_road(columns: Columns, signature: Signature, policy: Policy) -> None:
    by_name = {spec.name: spec.datatype for spec in signature.inputs}
    # A cell of CSV is text already: where text is wanted it is taken, whatever it was before.
    is_text_for_csv = any(kind != "TEXT" and by_name.get(name) == "BYTES" for name, (kind, _) in columns.items())
    roads = [body for body in bodies(columns) if not (is_text_for_csv and body[0].startswith("text/csv"))]
    outcomes = [(kind, outcome((kind, raw), signature, policy)) for kind, raw in roads]
    assert {repr(came) for _, came in outcomes} == {repr(outcomes[0][1])}, outcomes


def specs(columns: Columns, datatypes: list[str]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, datatype=datatype, shape=(-1,)) for name, datatype in zip(columns, datatypes, strict=True)
    )


@settings(deadline=None, max_examples=300)
@given(tables(), st.data())
def test_columns_by_name_are_the_same_tensors_by_every_road(columns: Columns, data: st.DataObject) -> None:
    wanted = [
        data.draw(st.sampled_from([*NUMBERS, "BYTES", fitting(kind), fitting(kind)])) for kind, _ in columns.values()
    ]
    signature = Signature(inputs=specs(columns, wanted), outputs=())
    same_by_every_road(columns, signature, data.draw(st.sampled_from(POLICIES)))


def fitting(kind: str) -> str:
    return {"TEXT": "BYTES", "DATE": "INT64"}.get(kind, kind)


@settings(deadline=None, max_examples=150)
@given(tables(), st.sampled_from(NUMBERS), st.sampled_from(POLICIES), st.booleans())
def test_columns_side_by_side_are_the_same_rows_by_every_road(
    columns: Columns, datatype: str, policy: Policy, has_names: bool
) -> None:
    names = tuple(reversed(columns)) if has_names else ()
    spec = TensorSpec(name="x", datatype=datatype, shape=(-1, len(columns)), columns=names)
    same_by_every_road(columns, Signature(inputs=(spec,), outputs=()), policy)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(NUMBERS), st.sampled_from(NUMBERS), st.data())
def test_an_array_is_the_same_tensor_by_every_road_that_keeps_its_type(
    source: str, target: str, data: st.DataObject
) -> None:
    kind = {"FP16": "FP32"}.get(source, source)
    values = data.draw(st.lists(values_of(kind), min_size=1, max_size=6))
    with np.errstate(over="ignore"):
        array = np.array(values, NUMPY_NAMES[source])
    spec = TensorSpec(name="x", datatype=target, shape=(-1,))
    signature = Signature(inputs=(spec,), outputs=())
    listed = array.tolist()
    archive = BytesIO()
    np.savez_compressed(archive, x=array)
    roads: list[Body] = [
        ("application/x-npy", npy(array)),
        ("application/x-npy", npy(array.astype(array.dtype.newbyteorder(">")))),
        ("application/x-npz", archive.getvalue()),
        ("application/msgpack", msgspec.msgpack.encode({"inputs": {"x": listed}})),
        ("application/msgpack", msgspec.msgpack.encode({"instances": listed})),
        ("application/msgpack", msgspec.msgpack.encode({"inputs": [v2(target, len(listed), listed)]})),
    ]
    if array.dtype.kind != "f" or np.isfinite(array).all():
        roads += [
            ("application/json", orjson.dumps({"inputs": {"x": listed}})),
            ("application/json", orjson.dumps({"instances": [{"x": value} for value in listed]})),
            ("application/json", orjson.dumps({"inputs": [v2(target, len(listed), listed)]})),
            ("application/x-ndjson", b"\n".join(map(orjson.dumps, listed))),
        ]
    if source == target:
        roads += [
            ("application/octet-stream", array.tobytes()),
            ("application/msgpack", msgspec.msgpack.encode({"inputs": [v2(target, len(listed), array.tobytes())]})),
        ]
    outcomes = [(kind, outcome((kind, raw), signature, Policy())) for kind, raw in roads]
    assert {repr(came) for _, came in outcomes} == {repr(outcomes[0][1])}, outcomes


def v2(datatype: str, count: int, data: Any) -> dict[str, Any]:
    return {"name": "x", "datatype": datatype, "shape": [count], "data": data}


@pytest.mark.parametrize(
    ("kind", "values", "datatype", "policy", "tensor"),
    [
        ("INT64", [300], "UINT8", Policy(), Code.INVALID_INPUT),
        ("INT64", [2**53 + 1], "FP64", Policy(), [2.0**53]),
        ("FP64", [2.0], "INT32", Policy(), [2]),
        ("FP64", [2.5], "INT32", Policy(), Code.INVALID_INPUT),
        ("BOOL", [True, False], "FP32", Policy(), [1.0, 0.0]),
        ("INT8", [0, 1], "BOOL", Policy(), [False, True]),
        ("INT8", [2], "BOOL", Policy(), Code.INVALID_INPUT),
        ("FP64", [1.0, None], "FP64", Policy(), Code.INVALID_INPUT),
        ("FP64", [1.0, None], "FP32", Policy(missing_is_nan=True), [1.0, float("nan")]),
        ("INT32", [1, None], "INT32", Policy(missing_is_nan=True), Code.INVALID_INPUT),
        ("FP64", [1e39], "FP32", Policy(), Code.INVALID_INPUT),
        ("TEXT", ["grüße"], "BYTES", Policy(), ["grüße".encode()]),
        ("TEXT", ["x"], "FP32", Policy(), Code.INVALID_INPUT),
        ("DATE", [dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)], "BYTES", Policy(), [b"2026-01-31T12:00:00Z"]),
        ("DATE", [dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)], "INT64", Policy(), Code.INVALID_INPUT),
        ("DATE", [dt.datetime(1970, 1, 1, 0, 0, 1, tzinfo=dt.UTC)], "INT64", Policy(dates="ms"), [1000]),
        ("DATE", [dt.datetime(1970, 1, 1, 0, 0, 0, 1, dt.UTC)], "INT64", Policy(dates="ms"), Code.INVALID_INPUT),
    ],
)
def test_what_becomes_of_a_value_is_what_the_table_says(
    kind: str, values: list[Any], datatype: str, policy: Policy, tensor: Any
) -> None:
    columns = {"x": (kind, values)}
    signature = Signature(inputs=specs(columns, [datatype]), outputs=())
    for body in bodies(columns):
        if isinstance(tensor, Code):
            assert outcome(body, signature, policy) is tensor
            continue
        inputs, rows = body_to_inputs([Part("body", *body)], signature, policy)
        assert rows == len(values)
        found = inputs["x"].data if datatype == "BYTES" else as_array(inputs["x"]).tolist()
        assert repr(found) == repr(tensor), body[0]
