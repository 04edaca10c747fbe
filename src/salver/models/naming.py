"""What a model may be called, and what it is called when nobody said."""

from __future__ import annotations

import re
import unicodedata

NAME_RULE = "1 to 128 letters, digits, dots, dashes or underscores, beginning with a letter or a digit"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")
_INNER_SUFFIXES = (".pkl", ".pickle", ".joblib", ".tar")  # as in model.joblib.gz


def is_name(text: str) -> bool:
    """Whether `text` may name a model, in every protocol and in every URL."""
    return _NAME.fullmatch(text) is not None


def clean_name(text: str) -> str:
    """The nearest text that may name a model: without accents, a dash for what is unfit. Empty if nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    dashed = _UNFIT.sub("-", plain.strip())
    return dashed.lstrip("._-")[:128].rstrip("-")


def choose_name(given: str | None, own: str | None, path: str) -> tuple[str, str | None]:
    """A model's name: as given, else its own word for it, else its path's; and what to tell when that had to change.

    `given` is a name already. The name is empty when nothing of the others can be used.
    """
    if given is not None:
        return given, None
    wanted = own or path
    name = clean_name(wanted)
    note = None if name == wanted else f"named {name}, because `{wanted}` is not {NAME_RULE}"
    return name, note


def stem(file_name: str) -> str:
    """A file's name without what tells its format: `model.joblib.gz` is `model`, `net_v1.1.onnx` keeps its 1.1."""
    name = _without_suffix(file_name)
    return _without_suffix(name) if name.endswith(_INNER_SUFFIXES) else name


def _without_suffix(name: str) -> str:
    head, dot, _suffix = name.rpartition(".")
    return head if dot and head else name
