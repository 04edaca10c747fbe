"""docs/wires/support.md says what the wires say themselves, of every call that the originals have."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
PROTOCOLS = ("mms", "openinference", "tfserving", "torchserve")


@pytest.fixture(scope="module")
def support() -> Any:
    sys.path.append(str(SCRIPTS))
    import docs_support

    yield docs_support
    sys.path.remove(str(SCRIPTS))


def test_the_page_is_current(support) -> None:
    assert support.PAGE.read_text() == support.page(), "run scripts/docs"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_call_is_a_row_of_its_own(support, protocol: str) -> None:
    rows = tomllib.loads((support.CALLS / f"{protocol}.toml").read_text())["calls"]
    assert len({row["call"] for row in rows}) == len(rows)
    for row in rows:
        assert f"| `{row['call']}` | {row['is']} | " in support.PAGE.read_text()


def test_every_operation_is_reached_over_some_wire(support) -> None:
    page = support.PAGE.read_text()
    for operation in support.OPERATIONS:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| `{operation.name}` |")]
        assert "| yes |" in line, operation.name


def found(support, protocol: str, call: str) -> Any:
    return next(answer for name, _, answer in support.calls(protocol) if name == call)


def test_what_an_original_does_not_have_is_no_operation(support) -> None:
    wires = support.http_wires()
    for protocol, method, target in (
        ("tfserving", "POST", "/v1/models/m:explode"),
        ("tfserving", "PUT", "/v1/models/m"),
        ("mms", "POST", "/nothing/at/all"),
        ("openinference", "GET", "/v2/models/m/infer"),
        ("openinference", "GET", "/v3"),
        ("native", "GET", "/api/v1/nothing"),
    ):
        answer = support.asked(wires[protocol][""], method, target)
        assert not answer.is_answered, target
        assert "not supported" in answer.text


def test_a_route_that_refuses_when_it_reads_is_not_counted(support) -> None:
    answer = support.asked(support.http_wires()["openinference"][""], "POST", "/v2/repository/other/index")
    assert not answer.is_answered
    assert answer.told.startswith("501 ")
    assert found(support, "tfserving", "GET /v1/models").told.startswith("refused, as the original does: 400")
    assert found(support, "tfserving", "OPTIONS /v1/models/{model}").told == "answered with 200"
