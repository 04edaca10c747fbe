"""What a start-up line of MMS or TorchServe means, without starting anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from salver.cli.serverflags import given_flags, parser_for
from salver.cli.startline import FlagRefused, StartLine, read_start_line
from salver.errors import StartupError


def read(command: str, *line: str, **environment: str) -> StartLine:
    return read_start_line(command, parser_for(command).parse_args(line), environment)


def setting(found: StartLine, group: str, name: str) -> Any:
    return getattr(getattr(found.resolution.settings, group), name)


@pytest.fixture(autouse=True)
def _store(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()


def test_a_variable_of_ours_wins_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "config.properties").write_text("job_queue_size=5\n")
    assert setting(read("multi-model-server"), "serving", "max_queue_rows") == 5
    assert setting(read("multi-model-server", SALVER_MAX_QUEUE_ROWS="6"), "serving", "max_queue_rows") == 6


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "c.properties").write_text("model_store=/elsewhere\nload_models=a.mar\n")
    found = read("torchserve", "--ts-config", "c.properties", "--model-store", "store", "--models", "b=b.mar", "--dt")
    assert setting(found, "models", "model_store") == "store"
    assert setting(found, "torchserve", "token_authorization") is False
    assert [model.name for model in found.given.models] == ["b"]


def test_torchserve_keeps_its_keys_where_it_is_started(tmp_path: Path) -> None:
    found = read("torchserve", "--model-store", "store", "--enable-model-api", "--workflow-store", "store")
    assert setting(found, "torchserve", "token_file") == str(tmp_path / "key_file.json")
    assert setting(found, "torchserve", "model_control") == "explicit"
    assert setting(found, "torchserve", "workflow_store") == "store"


@pytest.mark.parametrize(
    ("location", "why"),
    [
        ("../secret.mar", "Relative path is not allowed in url: ../secret.mar"),
        ("/etc/passwd", "Relative path is not allowed in url: /etc/passwd"),
        ("gone.mar", "Model not found in model store: gone.mar"),
        ("https://host/a.mar", "https://host/a.mar is fetched only with its digest, and not at the start."),
    ],
)
def test_what_is_outside_of_the_store_is_no_model(location: str, why: str) -> None:
    (model,) = read("multi-model-server", "--model-store", "store", "--models", location).given.models
    assert (model.place, model.why_not) == (None, why)


def test_a_link_out_of_the_store_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "secret.mar").touch()
    (tmp_path / "store" / "a.mar").symlink_to(tmp_path / "secret.mar")
    (model,) = read("multi-model-server", "--model-store", "store", "--models", "a.mar").given.models
    assert model.place is None


def test_all_takes_archives_and_folders_of_the_store(tmp_path: Path) -> None:
    for name in ("a.mar", "b.model", "c.tar.gz", "notes.txt", ".hidden.mar"):
        (tmp_path / "store" / name).touch()
    (tmp_path / "store" / "d").mkdir()
    found = read("multi-model-server", "--model-store", "store", "--models", "ALL").given.models
    assert [model.told for model in found] == ["a.mar", "b.model", "c.tar.gz", "d"]


def test_a_line_of_mms_0_4_has_its_port_and_its_log_level() -> None:
    found = read("mxnet-model-server", "--port", "9000", "--log-level", "WARNING", "--log-file", "x.log")
    assert setting(found, "net", "doors") == ("mms@localhost:9000",)
    assert setting(found, "telemetry", "log_level") == "warning"
    assert found.notes == ("--log-file does nothing: logs go to standard error; redirect it",)


@pytest.mark.parametrize("line", [("--port", "many"), ("--port", "70000"), ("--log-level", "loud")])
def test_a_value_of_mms_0_4_that_cannot_be_read_is_refused(line: tuple[str, ...]) -> None:
    with pytest.raises(FlagRefused, match=line[0]):
        read("mxnet-model-server", *line)


def test_what_cannot_be_followed_is_refused() -> None:
    with pytest.raises(StartupError, match="--gen-api cannot be followed"):
        read("mxnet-model-server", "--gen-api", "python")


def test_a_file_that_is_no_utf_8_is_latin_1(tmp_path: Path) -> None:
    (tmp_path / "config.properties").write_bytes(b"default_service_handler=caf\xe9\n")
    assert setting(read("multi-model-server"), "torchserve", "default_service_handler") == "caf\xe9"


def test_only_flags_that_were_given_count() -> None:
    parsed = parser_for("torchserve").parse_args(["--start", "--ncs"])
    assert [flag.names[0] for flag in given_flags("torchserve", parsed)] == ["--start", "--no-config-snapshots"]
