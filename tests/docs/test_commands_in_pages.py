"""Commands that pages tell readers to run."""

import os
import re
import shlex
from pathlib import Path

import click
import pytest

from salver.cli.main import COMMANDS, salver

SHELL_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"(?<![\w./-])(scripts/[a-z]+|\.ci/run)\b")
INLINE = re.compile(r"`(salver [^`\n]+)`")


def lines(page: Path) -> list[str]:
    """The shell lines of a page, continued ones joined."""
    text = "".join(SHELL_BLOCK.findall(page.read_text())).replace("\\\n", " ")
    return [line.removeprefix("$ ").strip() for line in text.splitlines()]


def salver_calls(page: Path) -> list[list[str]]:
    """The words of every call of the command, in blocks and in running text."""
    calls = [re.split(r"\s[|>&]|\s#", line)[0] for line in lines(page) if re.match(r"(\S+=\S+ )*(\S+/)?salver ", line)]
    calls += [call for call in INLINE.findall(page.read_text()) if not call.startswith("salver [")]
    return [
        shlex.split(call)[[word.endswith("salver") for word in shlex.split(call)].index(True) + 1 :] for call in calls
    ]


def unknown(words: list[str]) -> list[str]:
    """The words of a call that name no command and no flag."""
    context = click.Context(salver)
    command: click.Command = salver
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(context, words[0])
        if found is None:
            return words[:1]
        command, words = found, words[1:]
    flags = {flag for option in command.get_params(context) for flag in (*option.opts, *option.secondary_opts)}
    return [word for word in words if word.startswith("--") and word.partition("=")[0] not in flags]


def test_every_call_of_the_command_in_a_page_is_one_that_exists(pages, root):
    found = [
        f"{page.relative_to(root)}: salver {shlex.join(words)}: {unknown(words)}"
        for page in pages
        for words in salver_calls(page)
        if unknown(words)
    ]
    assert found == []


def test_every_script_that_a_page_names_exists_and_can_be_run(pages, root):
    named = {(page, script) for page in pages for script in SCRIPT.findall(page.read_text())}
    missing = [f"{page.relative_to(root)}: {script}" for page, script in named if not os.access(root / script, os.X_OK)]
    assert sorted(missing) == []


def test_the_readme_names_the_two_commands_for_a_fresh_machine_and_every_subcommand(root):
    text = (root / "README.md").read_text()
    assert "scripts/demo" in text
    assert "scripts/test" in text
    assert [name for name in COMMANDS if f"`salver {name}" not in text] == []


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        ("serve x --port 1", []),
        ("keys create --label x", []),
        ("serv x", ["serv"]),
        ("keys make", ["make"]),
        ("serve x --prt=1", ["--prt=1"]),
    ],
)
def test_a_call_that_does_not_exist_is_recognised(call, wrong):
    assert unknown(shlex.split(call)) == wrong
