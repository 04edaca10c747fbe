"""From a model to a package, in the program that has the model."""

from __future__ import annotations

import inspect
import json
import re
import sys
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from salver_client.packaging import command
from salver_client.packaging.base import Draft, Package, failed
from salver_client.packaging.examples import example_document, named_example
from salver_client.packaging.functions import add_function
from salver_client.packaging.modules import add_modules, copy, pinned
from salver_client.packaging.savers import modules_of, saver_of
from salver_client.packaging.writing import write_package

EXAMPLE = "example.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def package(
    model: Any,
    path: str | Path | None = None,
    *,
    name: str | None = None,
    example: Any = None,
    requirements: Sequence[str] | str | Path | None = None,
    code: Sequence[str | Path] = (),
    description: str = "",
    python: str | None = None,
    lock: bool | None = None,
    check: bool = True,
) -> Package:
    """Make a package of a model: an object of a framework, a Python function or class, or the path of a model.

    `path` is the file to write, or a folder; without it the current folder, and a name that has the digest in it.
    `example` is a request: a mapping by input name, or the value of the only input. `requirements` are packages, or a
    file of them; without it those that the model is made of, as they are installed here. `code` are files and folders
    that go along, importable by their names.

    With the command `salver` installed here, the packages are locked, and with `check` the model is run in them and its
    answer to the example recorded. Without it, or with `lock=False`, the server does that when it gets the package.

    Raises SalverClientError.
    """
    start = None if lock is False else command.command()
    if lock and start is None:
        raise failed("The command `salver` is not installed here, and it makes locks.", "Run `pip install salver`.")
    target = None if path is None else Path(path)
    checks = [] if check else ["--no-check"]
    if isinstance(model, (str, Path)):
        options = [*_options(name, requirements, code, description, python), *_example_option(example)]
        return _of_path(str(model), target, [*options, *checks], lock=lock)
    with tempfile.TemporaryDirectory(prefix="salver-package-") as work:
        folder = Path(work) / "package"
        folder.mkdir()
        draft = Draft(folder, _name(model, name))
        _add_model(draft, model, example)
        for each in code:
            copy(Path(each).expanduser(), folder)
        wanted = _requirements(draft, requirements)
        document = example_document(named_example(example, draft.inputs))
        is_named = isinstance(document, dict)
        _write_manifest(draft, wanted, description, python, has_example=is_named)
        if is_named:
            (folder / EXAMPLE).write_text(json.dumps({"inputs": document}, indent=2) + "\n", encoding="utf-8")
        if start is None:
            if document is not None and not is_named:
                draft.notes.append("the example names no input, so it is not in the package; a mapping does")
            return _unlocked(draft, wanted, target)
        unlocked, _ = write_package(folder, draft.name, Path(work))
        bare = [] if document is None or is_named else ["--example", json.dumps(document)]
        made = command.run(start, str(unlocked), target, [*bare, *checks])
        notes = (*draft.notes, *made.notes)
        return Package(**{field: getattr(made, field) for field in Package.__slots__} | {"notes": notes})


def _of_path(path: str, target: Path | None, options: Sequence[str], *, lock: bool | None) -> Package:
    start = command.command()
    if start is None:
        raise failed(
            "A model's file is looked at by the command `salver`, which is not installed here.",
            "Run `pip install salver`, or send the file itself with `Client.push`.",
        )
    return command.run(start, path, target, [*options, *([] if lock is not False else ["--no-lock"])])


def _options(
    name: str | None,
    requirements: Sequence[str] | str | Path | None,
    code: Sequence[str | Path],
    description: str,
    python: str | None,
) -> list[str]:
    wanted = [requirements] if isinstance(requirements, (str, Path)) else requirements or ()
    return [
        *(() if name is None else ("--name", name)),
        *(word for each in wanted for word in ("--requirements", str(each))),
        *(word for each in code for word in ("--code", str(each))),
        *(("--description", description) if description else ()),
        *(() if python is None else ("--python", python)),
    ]


def _example_option(example: Any) -> list[str]:
    if example is None:
        return []
    if isinstance(example, Path):
        return ["--example", str(example)]
    return ["--example", json.dumps(example_document(example))]


def _add_model(draft: Draft, model: Any, example: Any) -> None:
    saver = saver_of(model)
    if saver is not None and not isinstance(model, type):
        modules = modules_of(model, saver)
        draft.options, draft.inputs = saver.options(model), saver.names(model)
        draft.artifact = saver.save(model, draft.folder, example)
        add_modules(draft, modules)
    elif isinstance(model, type) or inspect.isfunction(model):
        add_function(draft, model)
    else:
        raise failed(
            f"A {type(model).__name__} is no model that can be saved here.",
            "Give a model of a known framework, a function or a class (not an object of it), or the path of a file.",
        )


def _name(model: Any, name: str | None) -> str:
    """As somebody says, else as the function or class is called."""
    if name is not None:
        if not _NAME.fullmatch(name):
            raise failed(
                f"{name!r} is no name for a model.",
                "Use 1 to 128 letters, digits, dots, dashes or underscores, beginning with a letter or a digit.",
            )
        return name
    own = getattr(model, "__name__", None) or type(model).__name__
    plain = unicodedata.normalize("NFKD", own).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9._-]+", "-", plain).strip("._-") or "model"


def _requirements(draft: Draft, given: Sequence[str] | str | Path | None) -> list[str]:
    """Those that were given, else those that the model needs, as installed here."""
    if given is not None:
        return _given(given)
    found, unknown = pinned(draft.modules)
    draft.notes += [f"no package here has the module {name}, which the model needs" for name in unknown]
    return found


def _given(given: Sequence[str] | str | Path) -> list[str]:
    if not isinstance(given, (str, Path)):
        return [str(each) for each in given]
    path = Path(given)
    if not path.is_file():
        if isinstance(given, Path) or "/" in given or given.endswith(".txt"):
            raise failed(f"There is no file {given}.", "Give a file of requirements, or the requirements themselves.")
        return [str(given)]
    lines = (re.sub(r"(^|\s)#.*$", "", line).strip() for line in path.read_text("utf-8").splitlines())
    return [line for line in lines if line]


def _write_manifest(
    draft: Draft, requirements: Sequence[str], description: str, python: str | None, *, has_example: bool
) -> None:
    series = python or f"{sys.version_info[0]}.{sys.version_info[1]}"
    pairs = {"name": draft.name, "description": description, "artifact": draft.artifact, "handler": draft.handler}
    lines = ["# Written by salver_client.package.", *_pairs(pairs)]
    lines += ["", "[runtime]", *_pairs(dict(draft.options))] if draft.options else []
    lines += ["", "[environment]", *_pairs({"python": series, "requirements": list(requirements) or None})]
    if has_example:
        lines += ["", "[example]", *_pairs({"file": EXAMPLE})]
    (draft.folder / "model.toml").write_text("\n".join((*lines, "")), encoding="utf-8")
    record = {"format": 1, "name": draft.name, "runtime": "", "requirements": list(requirements)}
    text = json.dumps({**record, "created_with": {"python": series}}, indent=2)
    (draft.folder / "salver.json").write_text(f"{text}\n", encoding="utf-8")


def _pairs(values: dict[str, Any]) -> list[str]:
    """Lines of TOML, of which JSON's texts and arrays are a part."""
    return [f"{key} = {json.dumps(value)}" for key, value in values.items() if value]


def _unlocked(draft: Draft, requirements: Sequence[str], target: Path | None) -> Package:
    written, digest = write_package(draft.folder, draft.name, target)
    return Package(
        path=written,
        name=draft.name,
        digest=digest,
        is_locked=False,
        is_proved=False,
        requirements=tuple(requirements),
        notes=tuple(draft.notes),
    )
