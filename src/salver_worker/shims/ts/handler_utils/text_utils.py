"""Text to tokens and their ngrams, as torchtext makes them, without torchtext."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterator, List, Sequence

_SPACED = re.compile(r"([.,()!?])")
_LEFT_OUT = re.compile(r"<br />|[;:]")


def ngrams_iterator(token_list: Sequence[str], ngrams: int) -> Iterator[str]:
    """The tokens, then each two of them that follow each other, each three, and so on."""
    for size in range(1, ngrams + 1):
        for place in range(len(token_list) - size + 1):
            yield " ".join(token_list[place : place + size])


def get_tokenizer(tokenizer: Any, language: str = "en") -> Callable[[str], List[str]]:
    """`basic_english`, None for words between spaces, or a function, which is returned."""
    if tokenizer is None:
        return str.split
    if tokenizer == "basic_english":
        if language != "en":
            raise ValueError("basic_english is for English (en)")
        return _basic_english
    if callable(tokenizer):
        return tokenizer  # type: ignore[no-any-return]
    raise ValueError("the tokenizer %r is not known; basic_english is" % (tokenizer,))


def _basic_english(line: str) -> List[str]:
    line = line.lower().replace("'", " ' ").replace('"', "")
    return _SPACED.sub(r" \1 ", _LEFT_OUT.sub(" ", line)).split()
