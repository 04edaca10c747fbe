"""The pages about workers say what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from salver_worker import frames
from salver_worker.activity import Activity
from salver_worker.arrays import NUMPY_TYPES
from salver_worker.failures import PredictFailure, error_header, failed_header
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.function import FunctionModel, function_model
from salver_worker.runtimes.function_target import find_target

DOCS = Path(__file__).resolve().parents[2] / "docs"
PROTOCOL = (DOCS / "frame-protocol.md").read_text()
FUNCTIONS = (DOCS / "functions.md").read_text()


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def dumped(block: str) -> bytes:
    return bytes.fromhex("".join(line[6:53] for line in block.splitlines()))


def test_the_bytes_on_the_page_are_those_of_the_protocol(echo: Any) -> None:
    question, answer, elements = map(dumped, blocks(PROTOCOL, "hex"))
    link = echo.attach()
    link.socket.sendall(question)
    received = link.receive()
    prefix = frames.unpack_prefix(answer)
    start = frames.PREFIX_SIZE + prefix.header_length
    assert (received.verb, received.id) == (prefix.verb, prefix.id)
    assert received.header == frames.decode_header(answer[frames.PREFIX_SIZE : start])
    assert received.body == answer[start:]
    assert frames.decode_bytes_elements(elements, 3) == [b"Oslo", b"", "Å".encode()]


def test_the_page_has_every_verb_with_its_number() -> None:
    rows = re.findall(r"^\| ([A-Z]+) \| (\d+) \| (?:control|data) \|", PROTOCOL, re.MULTILINE)
    assert {int(number): name for name, number in rows} == frames.VERB_NAMES


def test_the_page_has_every_datatype_with_its_size() -> None:
    table = PROTOCOL.partition("| datatype | bytes of one element |")[2].partition("\n\n")[0]
    sizes = {}
    for names, size in re.findall(r"^\| (.*?) \| (\d) \|$", table, re.MULTILINE):
        sizes.update(dict.fromkeys(re.findall(r"`(\w+)`", names), int(size)))
    assert sizes == frames.DATATYPE_SIZES


@pytest.mark.parametrize("field", LoadRequest._fields)
def test_the_page_has_every_key_of_load(field: str) -> None:
    assert f"`{field}`" in PROTOCOL


def test_the_page_has_every_key_that_a_worker_sends(echo: Any, start_worker: Any) -> None:
    ready = start_worker().load("echo", "any.echo").header
    error = error_header(PredictFailure("no", status=503))
    for header in (ready, failed_header(ValueError()), error, Activity().report()):
        for key in header:
            assert f"`{key}`" in PROTOCOL, key


def served(source: str) -> FunctionModel:
    module = ModuleType("page")
    exec(source, vars(module))
    return function_model(find_target(module, ""), {}, {})


@pytest.mark.parametrize("source", blocks(FUNCTIONS, "python"))
def test_the_functions_on_the_page_can_be_served(source: str) -> None:
    model = served(source)
    inputs: dict[str, Any] = {}
    for row in model.signature["inputs"]:
        shape = [2, *(2 if dim == -1 else dim for dim in row["shape"][1:])]
        is_text = row["datatype"] == "BYTES"
        inputs[row["name"]] = np.full(shape, b"a", object) if is_text else np.zeros(shape, NUMPY_TYPES[row["datatype"]])
    for name, array in model.predict(inputs, {}).items():
        assert array.shape[0] == 2, name


def test_the_example_on_the_page_is_the_first_functions_answer() -> None:
    import tomllib

    (toml,) = blocks(FUNCTIONS, "toml")
    example = tomllib.loads(toml)["example"]
    answer = served(blocks(FUNCTIONS, "python")[0]).predict({"x": np.array(example["inputs"]["x"])}, {})
    assert answer["output"].tolist() == example["expect"]["output"]


def test_the_page_has_every_datatype() -> None:
    for name in (*frames.DATATYPE_SIZES, "BYTES"):
        assert f"`{name}`" in FUNCTIONS
