"""vocabulary: texts become the numbers of their tokens, by a file with one token on each line."""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Union

import numpy as np

from salver_worker.conversions.each_row import decoded, each_row
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.folder import lines_of, read_text
from salver_worker.conversions.kinds import FILE, FLAG, choice, is_name, is_whole, kind, whole
from salver_worker.conversions.step import INPUT, ONE_TEXT, REQUIRED, Bound, Given, Parameter, Step

MAX_LENGTH = 1000000
SPLITS: Dict[str, Callable[[str], List[str]]] = {"whitespace": str.split, "characters": list}


class Vocabulary(NamedTuple):
    """Tokens and their numbers. `unknown` is the number of any other token; None: it is refused."""

    numbers: Dict[str, int]
    unknown: Optional[int]
    pad: int
    length: Optional[int]
    is_lower: bool
    split: Callable[[str], List[str]]

    def numbers_of(self, raw: bytes) -> List[int]:
        """The numbers of one text's tokens, at most `length` of them. Raises RowError for a token that is not known."""
        text = decoded(raw)
        tokens = self.split(text.lower() if self.is_lower else text)
        return [self._number(token) for token in tokens[: self.length]]

    def _number(self, token: str) -> int:
        number = self.numbers.get(token, self.unknown)
        if number is None:
            raise RowError("the token %r is not in the vocabulary" % token[:40])
        return number

    def matrix(self, texts: Array) -> Array:
        """One row of numbers for each text, padded to `length`, or to the longest text of the batch."""
        rows = each_row(self.numbers_of, texts)
        width = max(map(len, rows), default=0) if self.length is None else self.length
        matrix = np.full((len(rows), width), self.pad, dtype=np.int64)
        for row, numbers in enumerate(rows):
            matrix[row, : len(numbers)] = numbers
        return matrix


def _read_tokens(folder: str, file: str) -> Dict[str, int]:
    """Numbers by token: its line, counted from 0."""
    numbers: Dict[str, int] = {}
    for number, token in enumerate(lines_of(read_text(folder, file, "file"))):
        if token == "" or token in numbers:
            fault = "is empty" if token == "" else "repeats line %d" % (numbers[token] + 1)
            raise StepError("line %d of %s %s" % (number + 1, file, fault), "file", "Write one token on each line.")
        numbers[token] = number
    if not numbers:
        raise StepError("%s has no tokens" % file, "file", "Write one token on each line.")
    return numbers


def _special(given: Given, numbers: Dict[str, int], name: str) -> Optional[int]:
    """The number of the unknown or the padding token, which the manifest gives as a number or as the token."""
    value: Union[int, str, None] = given.values[name]
    if isinstance(value, str):
        if value not in numbers:
            raise StepError('%s = "%s" is not a token of the file' % (name, value), name)
        return numbers[value]
    return value


def _bind_vocabulary(given: Given) -> Bound:
    values = given.values
    numbers = _read_tokens(given.folder, values["file"])
    vocabulary = Vocabulary(
        numbers,
        _special(given, numbers, "unknown"),
        _special(given, numbers, "pad") or 0,
        values["length"],
        values["lower"],
        SPLITS[values["split"]],
    )
    width = -1 if values["length"] is None else values["length"]
    return Bound(Flow("INT64", (given.flow.shape[0], width)), vocabulary.matrix)


def _is_token(value: Any) -> bool:
    return is_name(value) or (is_whole(value) and 0 <= value < 2**31)


TOKEN = kind("a token of the file, or its number", _is_token)

STEPS = (
    Step(
        name="vocabulary",
        stages=(INPUT,),
        takes=ONE_TEXT,
        summary="Texts become the numbers of their tokens (INT64).",
        parameters=(
            Parameter("file", FILE, REQUIRED, "One token on each line, the first one is number 0; UTF-8."),
            Parameter(
                "length", whole(1, MAX_LENGTH, "a positive integer"), None, "Cut or fill up to so many.", "the longest"
            ),
            Parameter("unknown", TOKEN, None, "What stands for a token that the file does not have.", "refuse it"),
            Parameter("pad", TOKEN, 0, "What fills a text up."),
            Parameter("split", choice(*SPLITS), "whitespace", "What a token is."),
            Parameter("lower", FLAG, False, "Small letters before the look-up."),
        ),
        main="file",
        bind=_bind_vocabulary,
    ),
)
