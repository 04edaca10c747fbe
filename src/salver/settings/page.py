"""The reference of the settings as Markdown, made from the catalogue. Pure."""

from __future__ import annotations

from salver.settings.catalogue import Setting, catalogue, group_summaries

INTRODUCTION = """\
# Settings

<!-- Made by scripts/docs from the settings themselves; a test compares the two. -->

Every setting has a flag of `salver serve`, a variable, and a key in `salver.toml`. A flag wins over the variable, the
variable over the file, the file over the default. `salver config` shows each value in force and where it came from.

`salver.toml` is read from the current directory, or from the path after `--config`:

```toml
[net]
port = 9000
compat = ["tfserving", "mms"]

[serving]
deadline_s = 10
```

Lists are separated by commas in a variable (`SALVER_COMPAT=tfserving,mms`) and in a flag, which may also be repeated. A
switch has two flags, `--insecure` and `--no-insecure`. An empty variable counts as not set. An unknown key in the file
is an error; an unknown `SALVER_` variable is a warning. `_s` is seconds, `_ms` milliseconds, `_mb` and `_kb` are 1024 x
1024 and 1024 bytes.

Two more variables belong to the commands that talk to a server, not to the server: `SALVER_URL` and `SALVER_KEY`.
"""

HEADER = "| setting | takes | default | what it does |\n|---|---|---|---|\n"


def settings_page() -> str:
    """The whole of ``docs/settings.md``."""
    return INTRODUCTION + "".join(_section(group, summary) for group, summary in group_summaries().items())


def _section(group: str, summary: str) -> str:
    rows = "".join(_row(setting) for setting in catalogue() if setting.group == group)
    return f"\n## [{group}]\n\n{summary}\n\n{HEADER}{rows}"


def _row(setting: Setting) -> str:
    names = f"`{setting.name}`<br>`{setting.flag}`<br>`{setting.variable}`"
    default = f"`{setting.default_text}`" if setting.default_text else "empty"
    return f"| {names} | {setting.expected} | {default} | {setting.doc} |\n"
