"""The same questions in every protocol: the same values, codes, words and counts come back.

What differs on purpose stands in SILENT and TAKEN, each with its reason; everything else must be alike.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from journey_grpc_tongues import GRPC_TONGUES
from journey_models import write_model
from journey_server import Server, eventually, serving
from journey_tongues import HOLE, NUMBERS, TONGUES, Ask, Said, Tongue

EVERY = (*TONGUES, *GRPC_TONGUES)

MIRROR = """
import numpy as np

NAMES = ["BOOL", "INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP32", "FP64"]
SPECS = [{"name": name, "datatype": name, "shape": [-1, 2]} for name in NAMES]
SPECS += [{"name": "text", "datatype": "BYTES", "shape": [-1, 2]}]
SIGNATURE = {"inputs": SPECS, "outputs": [{**spec, "name": "same " + spec["name"]} for spec in SPECS]}

def predict(**inputs):
    return {"same " + name: values for name, values in inputs.items()}
"""
WORDS = """
SIGNATURE = {
    "inputs": [{"name": "word", "datatype": "BYTES", "shape": [-1]}],
    "outputs": [{"name": "size", "datatype": "INT64", "shape": [-1]}],
}

def predict(word):
    import numpy as np
    return {"size": np.array([len(each) for each in word])}
"""
EXTREMES = {
    "BOOL": (False, True), "INT8": (-128, 127), "INT16": (-(2**15), 2**15 - 1), "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1), "UINT8": (0, 255), "UINT16": (0, 2**16 - 1), "UINT32": (0, 2**32 - 1),
    "UINT64": (0, 2**64 - 1), "FP32": (-1.5, 0.15625), "FP64": (0.1, -1e300),
}  # fmt: skip
BODY_LIMIT_MB = 1
ONES, TWOS = [1] * 16, [2] * 16


class Case(NamedTuple):
    """A question that is wrong: the code it has in metrics, and a word that every answer must have."""

    name: str
    ask: Ask
    code: str
    word: str = ""
    is_counted: bool = True


def simple(first: Any = None, second: Any = None, **more: Any) -> Ask:
    inputs = {"INPUT0": ("INT32", first or [ONES]), "INPUT1": ("INT32", second or [TWOS])}
    return Ask("simple", inputs, **more)


BAD = (
    Case("wrong dtype", Ask("simple", {"INPUT0": ("BYTES", [["a"] * 16]), "INPUT1": ("INT32", [TWOS])}),
         "INVALID_INPUT", "INPUT0"),
    Case("wrong shape", simple([[1] * 15]), "INVALID_INPUT", "INPUT0"),
    Case("ragged", simple([ONES, [1] * 15], [TWOS, TWOS]), "INVALID_INPUT", "INPUT0"),
    Case("rows that differ", simple([ONES, ONES], [TWOS]), "INVALID_INPUT"),
    Case("missing input", Ask("simple", {"INPUT0": ("INT32", [ONES])}), "INVALID_INPUT", "INPUT1"),
    Case("another input", Ask("simple", {**simple().inputs, "INPUT9": ("INT32", [ONES])}), "INVALID_INPUT", "INPUT9"),
    Case("unknown model", simple()._replace(model="nobody"), "MODEL_NOT_FOUND", "nobody"),
    Case("unknown version", simple(version=9), "VERSION_NOT_FOUND", "9"),
    Case("unknown label", simple(label="nowhere"), "LABEL_NOT_FOUND", "nowhere"),
    Case("oversize", simple([ONES] * 40_000, [TWOS] * 40_000), "PAYLOAD_TOO_LARGE", is_counted=False),
    Case("broken base64", Ask("words", {"word": ("BYTES", [{"b64": "%%%"}])}), "INVALID_INPUT"),
    Case("deep JSON", simple([[*ONES[:15], HOLE]], splice="[" * 5000 + "]" * 5000), "INVALID_INPUT"),
    Case("NaN", simple([[*ONES[:15], HOLE]], splice="NaN"), "INVALID_INPUT"),
)  # fmt: skip

SILENT = {
    ("tfserving, columns", "wrong dtype"): "the original's text names the value, not the input",
    ("tfserving, gRPC", "wrong dtype"): "the original's text has the number of the input",
    ("tfserving, columns", "ragged"): "the original's text names the level of the list",
    ("openinference, JSON", "ragged"): "the original's text names the field",
}
"""Where the words are the original's and need not have the case's word."""
TAKEN = {
    ("tfserving, columns", "another input"): "the original looks for the inputs of the signature and for no others",
    ("torchserve, gRPC", "another input"): "as with fields of a form, those that the model does not know are left out",
}
"""Where the original takes what others refuse."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, test_data: Path) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("parity")
    shutil.copytree(test_data / "triton" / "simple", folder / "simple")
    mirror = write_model(folder / "mirror", MIRROR)
    words = write_model(folder / "words", WORDS)
    with serving(mirror, words, folder / "simple", folder=folder, grpc_port=0, max_body_mb=BODY_LIMIT_MB) as server:
        yield server


def counted(server: Server, tongue: Tongue) -> dict[str, float]:
    """Predictions over the wire, by code, whatever the model: what is not found has none; rows by the word `rows`."""
    found: dict[str, float] = {}
    for series, value in server.metrics().items():
        if f'protocol="{tongue.wire}"' not in series:
            continue
        if series.startswith("salver_requests_total") and 'operation="models.predict"' in series:
            code = series.partition('code="')[2].partition('"')[0]
            found[code] = found.get(code, 0) + value
        if series.startswith("salver_rows_total"):
            found["rows"] = found.get("rows", 0) + value
    return found


def grown(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}


def asked(server: Server, tongue: Tongue, ask: Ask) -> Said:
    urls = (url for url in server.urls if url.startswith("grpc://") is tongue.is_grpc)
    said = tongue.send(next(urls), ask)
    if said is None:
        pytest.skip(f"{tongue.name} cannot say this")
    return said


@pytest.mark.parametrize("tongue", EVERY, ids=lambda tongue: tongue.name)
@pytest.mark.parametrize("rows", [1, 2, 7, 100])
def test_every_datatype_comes_back_with_the_same_values_and_counts(served, tongue: Tongue, rows: int) -> None:
    inputs: dict[str, tuple[str, Any]] = {name: (name, [list(EXTREMES[name])] * rows) for name in NUMBERS}
    inputs["text"] = ("BYTES", [["", "süß 😀"]] * rows)
    before = counted(served, tongue)
    said = asked(served, tongue, Ask("mirror", inputs))
    assert said.status == 200, said.words
    assert said.outputs == {f"same {name}": values for name, (_, values) in inputs.items()}
    assert grown(before, counted(served, tongue)) == {"OK": 1, "rows": rows}


@pytest.mark.parametrize("tongue", EVERY, ids=lambda tongue: tongue.name)
@pytest.mark.parametrize("version", [None, 1])
def test_a_real_model_gives_the_same_answer(served, tongue: Tongue, version: int | None) -> None:
    said = asked(served, tongue, simple([ONES, TWOS], [TWOS, TWOS], version=version))
    assert said.outputs == {"OUTPUT0": [[3] * 16, [4] * 16], "OUTPUT1": [[-1] * 16, [0] * 16]}


@pytest.mark.parametrize("tongue", EVERY, ids=lambda tongue: tongue.name)
@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_what_is_wrong_has_the_same_code_word_and_count(served, tongue: Tongue, case: Case) -> None:
    before = counted(served, tongue)
    said = asked(served, tongue, case.ask)
    if (tongue.name, case.name) in TAKEN:
        assert said.status == 200
        return
    assert said.outputs is None
    assert 400 <= said.status < 500, (said.status, said.words)
    assert (case.word in said.words) is ((tongue.name, case.name) not in SILENT)
    assert "Traceback" not in said.words
    assert "salver/" not in said.words
    if case.code == "PAYLOAD_TOO_LARGE":
        assert said.status == 413
    if case.is_counted:
        after = eventually(lambda: grown(before, counted(served, tongue)), 5, "it is counted")
        assert after == {case.code: 1}


def test_nothing_of_this_was_a_fault(served) -> None:
    assert not [series for series in served.metrics() if 'code="INTERNAL"' in series]
    assert served.faults() == []
