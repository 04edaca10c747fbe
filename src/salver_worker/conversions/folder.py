"""Text files beside the model: labels and vocabularies. Nothing outside the model's folder is read."""

import os
from typing import List

from salver_worker.conversions.errors import StepError

MAX_FILE_BYTES = 64 * 1024 * 1024


def read_text(folder: str, name: str, parameter: str) -> str:
    """The text of a UTF-8 file in the model's folder. Raises StepError that names `parameter`."""
    try:
        with open(_inside(folder, name, parameter), "rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "it cannot be read"
        raise StepError("the file %s: %s" % (name, reason), parameter, "Put the file beside model.toml.") from error
    if len(raw) > MAX_FILE_BYTES:
        raise StepError("the file %s has more than %d bytes" % (name, MAX_FILE_BYTES), parameter)
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = "the file %s is not UTF-8 (byte %d)" % (name, error.start)
        raise StepError(message, parameter, "Save the file as UTF-8.") from error


def _inside(folder: str, name: str, parameter: str) -> str:
    """The file's real path; refuses absolute paths, `..`, and links that lead out."""
    root = os.path.realpath(folder)
    path = os.path.realpath(os.path.join(root, name))
    leads_out = os.path.isabs(name) or ".." in name.replace("\\", "/").split("/")
    if leads_out or os.path.commonpath([root, path]) != root:
        message = "the file %s lies outside the model's folder" % name
        raise StepError(message, parameter, "Copy the file beside model.toml and name it without a path.")
    if not os.path.exists(path):
        raise StepError(
            "there is no file %s in the model's folder" % name, parameter, "Put the file beside model.toml."
        )
    if not os.path.isfile(path):
        raise StepError("%s is not a file" % name, parameter, "Name a file of the model's folder.")
    return path


def lines_of(text: str) -> List[str]:
    """The lines of a text, split at newlines alone: other separators may be part of a token."""
    lines = [line[:-1] if line.endswith("\r") else line for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines
