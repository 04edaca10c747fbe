"""Contracted English words, written out as TorchServe's text handlers do: models were trained on what that makes.

From its ``torch_handler/contractions.py`` and ``text_handler.py``: of contractions that begin alike the shortest one is
replaced, wherever it stands, and the first letter of what is replaced stays.
"""

from __future__ import annotations

import re
from typing import Dict, Match

_ENDINGS = {
    "n't": (" not", "are could did does do had has have is may might must need ought should was were would"),
    "'ve": (" have", "could i might must should so they to we what when where who why will would you"),
    "'ll": (" will", "he how i it she they we what who you"),
    "'d": (" would", "he i it she that there they we you"),
    "'s": (" is", "he how it she that there what when where who why"),
    "'re": (" are", "they we what you"),
    "'m": (" am", "i"),
}
_OTHERS = {
    "ain't": "as not",
    "can't": "cannot",
    "'cause": "'ecause",
    "how'd": "how did",
    "let's": "let us",
    "ma'am": "madam",
    "o'clock": "of the clock",
    "sha'n't": "shall not",
    "shan't": "shall not",
    "so's": "so as",
    "where'd": "where did",
    "won't": "will not",
    "y'all": "you all",
}


def _written_out() -> Dict[str, str]:
    found = dict(_OTHERS)
    for ending, (meaning, words) in _ENDINGS.items():
        found.update({word + ending: word + meaning for word in words.split()})
    return found


_WRITTEN_OUT = _written_out()
_PATTERN = re.compile("|".join(map(re.escape, _WRITTEN_OUT)), re.IGNORECASE)


def expanded(text: str) -> str:
    """The text with its contractions written out, and without the apostrophes that are left."""
    return _PATTERN.sub(_meaning, text).replace("'", "")


def _meaning(found: Match[str]) -> str:
    word = found[0]
    return word[0] + _WRITTEN_OUT[word.lower()][1:]
