"""The page of MMS's and TorchServe's commands has every flag and every key, as the code treats them."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

from salver.cli.serverflags import ALL, FLAGS, parser_for
from salver.wire.torchserve.configkeys import KEYS


def test_the_tables_are_current(root: Path) -> None:
    page = (root / "docs" / "wires" / "mms-commands.md").read_text(encoding="utf-8")
    made = runpy.run_path(str(root / "scripts" / "docs_mms.py"))["page"](page)
    assert page == made, "run scripts/docs"


def test_every_flag_and_key_has_its_row(root: Path) -> None:
    page = (root / "docs" / "wires" / "mms-commands.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `([\w-]+)`", page, re.MULTILINE))
    assert {flag.names[0] for flag in FLAGS} <= rows
    assert {key.name for key in KEYS} <= rows


def test_every_flag_of_a_command_is_parsed_and_no_other() -> None:
    for command in ALL:
        known = {name for action in parser_for(command)._actions for name in action.option_strings}
        assert known == {name for flag in FLAGS if command in flag.commands for name in flag.names} | {"-h", "--help"}
