"""The page on operating names every metric, every field of the access log and every event, and no others."""

from __future__ import annotations

import ast
import json
import tempfile
from pathlib import Path

import pytest
from page_commands import Reader
from page_tables import table, words
from prometheus_client.parser import text_string_to_metric_families

from salver.telemetry.counters import BatchCount, Report, RequestCount, RequestKey
from salver.telemetry.exposition import render
from salver.types import ModelStatus, ModelVersion, VersionState, VersionStatus

BROKEN = "def predict(x: float) -> float:\n    return 1 / x\n"
ASKED = """
```sh
salver serve broken.py
```
```sh
curl -d '[2.0]' http://127.0.0.1:8080/api/v1/models/broken/predict
curl -d '[0.0]' http://127.0.0.1:8080/api/v1/models/broken/predict
curl -d '[1.0]' http://127.0.0.1:8080/api/v1/models/brocken/predict
```
"""
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "log"}


@pytest.fixture
def page(root: Path) -> Path:
    return root / "docs" / "operating.md"


@pytest.fixture
def metrics() -> dict[str, set[str]]:
    """The labels of every metric, of a server that has served one request."""
    version = ModelVersion("m", 1)
    key = RequestKey("models.predict", version.model, version.version, "native")
    batches = BatchCount(model="m", version=1, batches=1, rows=1, waiting_rows=0, flying_rows=0)
    status = VersionStatus(
        id=version, state=VersionState.READY, runtime="echo", source="", environment="", replicas_wanted=1
    )
    report = Report(requests=((key, RequestCount(codes={"OK": 1}, rows=1)),), batches=(batches,))
    models = [ModelStatus(name="m", versions=(status,), default_version=1)]
    families = text_string_to_metric_families(render(report, models, "0").decode())
    return {
        f"{family.name}_total" if family.type == "counter" else family.name: {
            label for sample in family.samples for label in sample.labels if label != "le"
        }
        for family in families
    }


@pytest.fixture(scope="module")
def log_lines(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """The access log of a server that answered, failed and refused."""
    folder = tmp_path_factory.mktemp("asked")
    (folder / "broken.py").write_text(BROKEN)
    log = folder / "access.jsonl"
    with tempfile.TemporaryDirectory(prefix="salver-") as home:
        Reader(folder, Path(home), SALVER_ACCESS_LOG=str(log)).follow(ASKED)
    return [json.loads(line) for line in log.read_text().splitlines()]


def logged_events(package: Path) -> set[str]:
    """The first argument of every call of a logger that is a text by itself."""
    return {
        argument.value
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LOG_METHODS
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "log"
        for argument in node.args[:2]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    }


def test_the_page_has_every_metric_with_its_labels(page, metrics):
    told = {words(name)[0]: set(words(labels)) for name, labels, _ in table(page, "## Metrics")}
    assert told == metrics


def test_what_to_alert_on_names_metrics_that_exist(page, metrics):
    for condition, _ in table(page, "### What to alert on"):
        named = {word for text in words(condition) for word in text.replace("(", " ").replace("{", " ").split()}
        assert {word.partition("[")[0] for word in named if word.startswith("salver_")} <= metrics.keys(), condition


def test_the_page_has_every_field_of_the_access_log(page, log_lines):
    told = {field for cells in table(page, "### Access log") for field in words(cells[0])}
    assert {name for line in log_lines for name in line} == told


def test_only_failures_have_the_fields_that_the_page_says_are_theirs(page, log_lines):
    rare = {words(field)[0] for field, meaning in table(page, "### Access log") if meaning.startswith("only with")}
    for line in log_lines:
        assert line["code"] != "OK" or not rare & line.keys()
    by_code = {line["code"]: line for line in log_lines if line["operation"] == "models.predict"}
    assert by_code["MODEL_NOT_FOUND"]["asked_for"] == "brocken"
    assert "ZeroDivisionError" in str(by_code["MODEL_ERROR"]["detail"])
    assert by_code["OK"]["rows"] == 1


def test_the_page_has_every_event(page, root):
    told = {event for cells in table(page, "### Events") for event in words(cells[0])}
    assert told == logged_events(root / "src" / "salver")
