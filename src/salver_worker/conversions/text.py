"""text: texts are tidied before the model sees them."""

import re
import unicodedata
from typing import Any, Callable, List, Mapping, Tuple

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.conversions.each_row import decoded, each_row
from salver_worker.conversions.flow import Array
from salver_worker.conversions.kinds import FLAG, choice, refuse_unless, whole
from salver_worker.conversions.step import INPUT, TEXTS, Bound, Given, Kind, Parameter, Step

Edit = Callable[[str], str]
ENCODINGS = ("utf-8", "utf-16", "latin-1", "ascii")


def _edits(values: Mapping[str, Any]) -> List[Edit]:
    """What is done to each text, in order."""
    edits: List[Edit] = []
    if values["unicode"] != "as is":
        edits.append(lambda text: unicodedata.normalize(values["unicode"], text))
    if values["strip"]:
        edits.append(str.strip)
    if values["lower"]:
        edits.append(str.lower)
    edits.extend(_replacing(pattern, by) for pattern, by in values["replace"])
    if values["max_length"] is not None:
        edits.append(lambda text: text[: values["max_length"]])
    return edits


def _replacing(pattern: "re.Pattern[str]", by: str) -> Edit:
    return lambda text: pattern.sub(by, text)


def _bind_text(given: Given) -> Bound:
    edits = _edits(given.values)
    encoding = given.values["encoding"].replace("utf-8", "utf-8-sig")

    def edit(raw: bytes) -> bytes:
        text = decoded(raw, encoding)
        for change in edits:
            text = change(text)
        return text.encode()

    def convert(texts: Array) -> Array:
        per_row = max(1, int(np.prod(texts.shape[1:])))
        return bytes_array(each_row(edit, texts.reshape(-1), per_row), texts.shape)

    return Bound(given.flow, convert)


def _read_replacements(value: Any) -> List[Tuple["re.Pattern[str]", str]]:
    refuse_unless(isinstance(value, list) and all(map(_is_replacement, value)))
    return [_compiled(pattern, by) for pattern, by in value]


def _is_replacement(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(text, str) for text in value)


def _compiled(pattern: str, by: str) -> Tuple["re.Pattern[str]", str]:
    try:
        compiled = re.compile(pattern)
        compiled.sub(by, "")
    except (re.error, IndexError) as error:
        raise ValueError("has the pattern %r with %r, which does not work: %s" % (pattern, by, error)) from error
    return compiled, by


REPLACEMENTS = Kind("a list of [pattern, text] pairs", _read_replacements)

STEPS = (
    Step(
        name="text",
        stages=(INPUT,),
        takes=TEXTS,
        summary="Texts are tidied, in the order of the parameters, and stay BYTES in UTF-8.",
        parameters=(
            Parameter("encoding", choice(*ENCODINGS), "utf-8", "How callers' bytes are to be read."),
            Parameter("unicode", choice("as is", "NFC", "NFKC", "NFD", "NFKD"), "as is", "The Unicode normal form."),
            Parameter("strip", FLAG, False, "Take white space away at both ends."),
            Parameter("lower", FLAG, False, "Small letters."),
            Parameter(
                "replace", REPLACEMENTS, [], "Replace what a regular expression matches; `\\1` is its first group."
            ),
            Parameter(
                "max_length", whole(1, 2**31, "a positive integer"), None, "Cut after so many characters.", "no limit"
            ),
        ),
        bind=_bind_text,
    ),
)
