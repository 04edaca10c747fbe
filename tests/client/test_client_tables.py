"""Data frames and tables as bodies, with pyarrow and without it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from salver_client import SalverClientError
from salver_client.inputs import Piece, encode_inputs
from salver_client.results import Prediction

FRAME = pd.DataFrame({"zone": ["a", "b"], "weight": [1.5, 2.0]})
ARROW = "application/vnd.apache.arrow.stream"


class Old:
    """A frame of a library that knows only the older protocol."""

    columns = ("zone", "weight")

    def __dataframe__(self, nan_as_null: bool = False, allow_copy: bool = True) -> Any:
        return pa.table(FRAME).__dataframe__(nan_as_null, allow_copy)


class Dicts:
    """A frame that tells its rows, as those of polars do."""

    columns = ("zone", "weight")

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        return pa.table(FRAME).__arrow_c_stream__(requested_schema)

    def to_dicts(self) -> list[dict[str, Any]]:
        return FRAME.to_dict("records")


def sent(table: Any) -> Piece:
    piece = encode_inputs(table)
    assert isinstance(piece, Piece)
    return piece


@pytest.mark.parametrize(
    "table", [FRAME, pa.table(FRAME), pa.record_batch(FRAME), Old(), Dicts()], ids=lambda table: type(table).__name__
)
def test_tables_travel_as_arrow(table: Any) -> None:
    piece = sent(table)
    assert piece.content_type == ARROW
    assert pa.ipc.open_stream(piece.data).read_all().to_pydict() == FRAME.to_dict("list")


def test_without_pyarrow_they_travel_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("salver_client.inputs.has_pyarrow", lambda: False)
    split = {"columns": ["zone", "weight"], "data": [["a", 1.5], ["b", 2.0]]}
    assert json.loads(sent(FRAME).data) == {"dataframe_split": split}
    assert json.loads(sent(Dicts()).data) == {"dataframe_records": FRAME.to_dict("records")}
    with pytest.raises(SalverClientError, match="no NaN"):
        sent(pd.DataFrame({"x": [float("nan")]}))


def test_a_series_is_no_table() -> None:
    assert sent(FRAME["weight"]).content_type == "application/x-npy"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("t.parquet", "application/vnd.apache.parquet"),
        ("t.feather", "application/vnd.apache.arrow.file"),
        ("t.arrows", ARROW),
        ("t.JSONL", "application/x-ndjson"),
        ("t.npz", "application/x-npz"),
    ],
)
def test_files_of_tables_say_what_they_are(tmp_path: Path, name: str, content_type: str) -> None:
    (tmp_path / name).write_bytes(b"x")
    assert sent(tmp_path / name).content_type == content_type


def test_an_answer_is_a_frame_on_request() -> None:
    prediction = Prediction(model="m", version=1, outputs={"p": [[0.5, 0.5], [0.1, 0.9]], "n": [1, None]})
    frame = prediction.frame()
    assert frame["p"].tolist() == [[0.5, 0.5], [0.1, 0.9]]
    assert frame["n"].isna().tolist() == [False, True]
