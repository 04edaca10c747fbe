"""Which files are one model of MXNet."""

from __future__ import annotations

from pathlib import Path

import pytest

from salver_worker.runtimes.mxnet_files import parameters_of, signature_of


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["a-0000.params"], "a-0000.params"),
        (["a-0009.params", "a-0010.params", "b-0099.params"], "a-0010.params"),
        (["a.params", "b.params"], "a.params"),
        (["a.params", "a-0001.params"], "a-0001.params"),
        (["weights.params"], "weights.params"),
        (["b-0001.params", "c-0001.params"], None),
        ([], None),
    ],
)
def test_parameters_are_those_of_the_name_and_the_last_epoch(
    tmp_path: Path, names: list[str], chosen: str | None
) -> None:
    for name in (*names, "a-symbol.json"):
        (tmp_path / name).touch()
    found = parameters_of(str(tmp_path / "a-symbol.json"))
    assert found == (None if chosen is None else str(tmp_path / chosen))


def test_a_symbol_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "net.params").touch()
    assert parameters_of(str(tmp_path / "net.json")) == str(tmp_path / "net.params")
    assert signature_of(str(tmp_path / "net.json")) is None
    (tmp_path / "net-signature.json").touch()
    assert signature_of(str(tmp_path / "net.json")) == str(tmp_path / "net-signature.json")


def test_the_signature_is_that_of_the_name_or_the_folders(tmp_path: Path) -> None:
    (tmp_path / "signature.json").touch()
    assert signature_of(str(tmp_path / "a-symbol.json")) == str(tmp_path / "signature.json")
    (tmp_path / "a-signature.json").touch()
    assert signature_of(str(tmp_path / "a-symbol.json")) == str(tmp_path / "a-signature.json")
