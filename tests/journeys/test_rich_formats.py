"""Tables in and out over HTTP, in every format, from the libraries that people send them with."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import joblib
import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests
from journey_models import write_model
from journey_server import Server, serving
from sklearn.linear_model import LinearRegression

from salver_client import Client, SalverClientError
from table_bodies import Columns, arrow_stream, bodies

pytestmark = pytest.mark.slow

MIRROR = """
from typing import NamedTuple


class Row(NamedTuple):
    zone: str
    weight: float
    pieces: int
    insured: bool


def predict(zone: str, weight: float, pieces: int, insured: bool) -> Row:
    return Row(zone, weight, pieces, insured)
"""
TABLE: Columns = {
    "zone": ("TEXT", ["city", "Zürich, alt", 'quoted "x"']),
    "weight": ("FP64", [1.5, 0.1, -2.0]),
    "pieces": ("INT64", [1, 2**53 + 1, -7]),
    "insured": ("BOOL", [True, False, True]),
}
VALUES = {name: values for name, (_, values) in TABLE.items()}
FRAME = pd.DataFrame(VALUES)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("formats")
    mirror = write_model(folder / "mirror", MIRROR, name="mirror")
    frame = pd.DataFrame({"tall": [1.0, 2.0, 3.0, 5.0], "wide": [2.0, 1.0, 5.0, 3.0]})
    sums = folder / "sums.joblib"
    joblib.dump(LinearRegression().fit(frame, 10 * frame["tall"] + frame["wide"]), sums)
    with serving(mirror, sums, folder=folder, max_body_mb=4) as server:
        yield server


def predict(served: Server, body: bytes, content_type: str, **options: Any) -> requests.Response:
    headers = {"Content-Type": content_type, **options.pop("headers", {})}
    path = options.pop("path", "/api/v1/models/mirror/predict")
    return served.post(path, data=body, headers=headers, **options)


def test_every_format_brings_the_same_table(served: Server) -> None:
    for content_type, body in bodies(TABLE):
        answer = predict(served, body, content_type)
        assert answer.status_code == 200, (content_type, answer.text)
        assert answer.json()["outputs"] == VALUES, content_type
        packed = predict(served, gzip.compress(body), content_type, headers={"Content-Encoding": "gzip"})
        assert packed.json()["outputs"] == VALUES, content_type


READ: dict[str, Callable[[bytes], Any]] = {
    "application/json": lambda body: json.loads(body)["outputs"],
    "application/x-ndjson": lambda body: pd.read_json(BytesIO(body), lines=True).to_dict("list"),
    "text/csv": lambda body: pd.read_csv(BytesIO(body)).to_dict("list"),
    "application/vnd.apache.arrow.stream": lambda body: pa.ipc.open_stream(body).read_all().to_pydict(),
    "application/vnd.apache.arrow.file": lambda body: pa.ipc.open_file(pa.BufferReader(body)).read_all().to_pydict(),
    "application/vnd.apache.parquet": lambda body: pq.read_table(BytesIO(body)).to_pydict(),
    "application/msgpack": lambda body: msgspec.msgpack.decode(body)["outputs"],
}


@pytest.mark.parametrize("accept", READ)
def test_every_format_brings_the_answer_back(served: Server, accept: str) -> None:
    body = arrow_stream(pa.Table.from_pandas(FRAME))
    answer = predict(served, body, "application/vnd.apache.arrow.stream", headers={"Accept": accept})

    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith(accept)
    assert answer.headers["Salver-Understood"] == "arrow"
    assert READ[accept](answer.content) == VALUES


def test_what_pandas_writes_is_read(served: Server) -> None:
    parquet = BytesIO()
    FRAME.to_parquet(parquet)
    feather = BytesIO()
    FRAME.to_feather(feather)
    sent = [
        (FRAME.to_csv(index=False).encode(), "text/csv"),
        (FRAME.to_json(orient="records").encode(), "application/json"),
        (FRAME.to_json(orient="split").encode(), "application/json; format=pandas-split"),
        (FRAME.to_json(orient="records", lines=True).encode(), "application/x-ndjson"),
        (parquet.getvalue(), "application/vnd.apache.parquet"),
        (feather.getvalue(), "application/vnd.apache.arrow.file"),
        (arrow_stream(pa.Table.from_pandas(FRAME.astype({"zone": "category"}))), "application/vnd.apache.arrow.stream"),
    ]
    for body, content_type in sent:
        answer = predict(served, body, content_type)
        assert answer.status_code == 200, (content_type, answer.text)
        assert answer.json()["outputs"] == VALUES, content_type


def test_mlflow_s_clients_are_answered_as_they_expect(served: Server) -> None:
    path = "/api/v1/models/{}/invocations"
    split = {"dataframe_split": {"columns": ["wide", "tall"], "data": [[1, 2], [3, 4]]}, "params": {}}
    answer = served.post(path.format("sums"), json=split)
    assert answer.json()["predictions"] == pytest.approx([21.0, 43.0])

    rows = served.post(path.format("mirror"), json={"dataframe_records": FRAME.to_dict("records")})
    assert rows.json() == {"predictions": FRAME.to_dict("records")}


def test_columns_find_their_place_by_their_names(served: Server) -> None:
    frame = pd.DataFrame({"wide": [1.0, 3.0], "tall": [2.0, 4.0]})
    path = "/api/v1/models/sums/predict"
    body = arrow_stream(pa.Table.from_pandas(frame))

    answer = predict(served, body, "application/vnd.apache.arrow.stream", path=path).json()
    assert answer["outputs"]["prediction"] == pytest.approx([21.0, 43.0])

    renamed = arrow_stream(pa.Table.from_pandas(frame.rename(columns={"wide": "high"})))
    refused = predict(served, renamed, "application/vnd.apache.arrow.stream", path=path)
    assert refused.status_code == 400
    assert "'wide' missing, 'high' unknown" in refused.json()["error"]["message"]
    signature = served.version("sums")["signatures"]["serving_default"]
    assert signature["inputs"][0]["columns"] == ["tall", "wide"]


def test_nulls_are_refused_with_their_place_or_read_as_nan(served: Server) -> None:
    body = b"zone,weight,pieces,insured\r\na,1,1,true\r\nb,,2,false\r\n"

    refused = predict(served, body, "text/csv; header=present")
    assert refused.status_code == 400
    assert "nothing in line 3, column 'weight'" in refused.json()["error"]["message"]
    assert "?missing=nan" in refused.json()["error"]["fix"]

    path = "/api/v1/models/mirror/predict?missing=nan"
    taken = predict(served, body, "text/csv; header=present", path=path, headers={"Accept": "application/msgpack"})
    outputs = msgspec.msgpack.decode(taken.content)["outputs"]
    np.testing.assert_array_equal(outputs["weight"], [1.0, np.nan])


def test_bodies_that_unfold_to_more_than_a_body_may_have_are_refused(served: Server) -> None:
    zeros = np.zeros(2_000_000)
    npz = BytesIO()
    np.savez_compressed(npz, x=zeros)
    parquet = BytesIO()
    pq.write_table(pa.table({"x": zeros}), parquet, compression="zstd")
    arrow = arrow_stream(pa.table({"x": zeros}), compression="zstd")
    word = pa.DictionaryArray.from_arrays(pa.array(np.zeros(1000, np.int32)), ["a" * 10_000])
    for body, content_type in [
        (npz.getvalue(), "application/x-npz"),
        (parquet.getvalue(), "application/vnd.apache.parquet"),
        (arrow, "application/vnd.apache.arrow.stream"),
        (arrow_stream(pa.table({"x": word})), "application/vnd.apache.arrow.stream"),
    ]:
        assert len(body) < 200_000
        answer = predict(served, body, content_type)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE"), content_type


def test_forms_that_an_answer_cannot_take_are_not_acceptable(served: Server) -> None:
    body = FRAME.to_json(orient="records").encode()
    for accept in ("application/x-npy", "application/x-npz", "image/png", "text/plain"):
        answer = predict(served, body, "application/json", headers={"Accept": accept})
        assert (answer.status_code, answer.json()["error"]["code"]) == (406, "NOT_ACCEPTABLE"), accept
    preferred = "text/csv;q=0.2, application/x-npy, application/json;q=0.1"
    assert (
        predict(served, body, "application/json", headers={"Accept": preferred})
        .headers["Content-Type"]
        .startswith("text/csv")
    )


def test_the_client_sends_and_gets_data_frames(served: Server) -> None:
    with Client(served.url) as client:
        prediction = client.predict("mirror", FRAME)
        assert prediction.understood == "arrow"
        pd.testing.assert_frame_equal(prediction.frame(), FRAME)
        assert client.predict("mirror", pa.Table.from_pandas(FRAME)).outputs == VALUES
        assert client.predict("sums", pd.DataFrame({"wide": [1], "tall": [2]})).array() == pytest.approx([21.0])
        with pytest.raises(SalverClientError, match="'wide' missing"):
            client.predict("sums", pd.DataFrame({"tall": [2]}))


def test_the_command_sends_files(served: Server, tmp_path: Path) -> None:
    import subprocess
    import sys

    FRAME.to_parquet(tmp_path / "rows.parquet")
    FRAME.to_csv(tmp_path / "rows.csv", index=False)
    for name in ("rows.parquet", "rows.csv"):
        command = [sys.executable, "-m", "salver", "predict", "mirror", "--input", str(tmp_path / name), "--json"]
        done = subprocess.run([*command, "--url", served.url], capture_output=True, check=True)
        assert json.loads(done.stdout)["outputs"] == VALUES


def test_a_large_table_is_read_and_written_beside_the_loop(served: Server) -> None:
    lines = ["zone,weight,pieces,insured", *["city,1.5,3,true"] * 20_000]
    body = "\r\n".join(lines).encode()
    answer = predict(
        served, body, "text/csv; header=present", headers={"Accept": "text/csv", "Salver-Deadline-Ms": "120000"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.text.splitlines()[1:] == ["city,1.5,3,true"] * 20_000


@pytest.mark.parametrize(
    ("changed", "is_taken_here"),
    [({"weight": True}, True), ({"pieces": 2.0}, True), ({"insured": 1}, True), ({"weight": "2"}, False)],
)
def test_addresses_of_other_protocols_keep_to_their_originals(
    served: Server, changed: dict[str, Any], is_taken_here: bool
) -> None:
    row = {"zone": "a", "weight": 1.5, "pieces": 1, "insured": True, **changed}
    kinds = {"zone": "BYTES", "weight": "FP64", "pieces": "INT64", "insured": "BOOL"}
    tensors = [{"name": name, "datatype": kind, "shape": [1], "data": [row[name]]} for name, kind in kinds.items()]
    here = [200 if is_taken_here else 400] * 3
    answers = [
        served.post("/api/v1/models/mirror/predict", json={"instances": [row]}),
        served.post("/api/v1/models/mirror/predict", json={"inputs": tensors}),
        served.post("/predictions/mirror", json={"instances": [row]}),
        served.post("/v1/models/mirror:predict", json={"instances": [row]}),
        served.post("/v2/models/mirror/infer", json={"inputs": tensors}),
    ]
    assert [answer.status_code for answer in answers] == [*here, 400, 400]
