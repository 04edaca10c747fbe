"""Text as it is written: the model writes on a thread of its own, and each piece is an answer's part."""

from __future__ import annotations

import queue
import threading
from typing import Any, Iterable, Iterator, List, Mapping, Optional, Sequence

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.runtimes.base import Arrays
from salver_worker.runtimes.transformers_generation import Generate
from salver_worker.runtimes.transformers_parts import decoded

HALF = "\ufffd"
"""What a character that is not whole is decoded as."""


def parts_of(generation: Generate, inputs: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
    """The text for one row, in pieces. Closing it stops the model at its next token. Raises InputError."""
    wish = generation.wish(parameters)
    (name,) = inputs
    prompts = decoded(name, inputs[name])
    if len(prompts) != 1:
        raise InputError("a text is written in parts for one row, not for %d" % len(prompts))
    own = getattr(generation.parts.model.generation_config, "num_beams", None)
    if (wish.keywords.get("num_beams") or own or 1) > 1:
        raise InputError("with num_beams no text is known before its end; ask for it without parts")
    encoded = generation.encode(prompts, 0, wish)
    if wish.has_prompt:
        yield _part(prompts[0])
    writing = _Writing(generation, encoded, wish)
    try:
        for piece in before_stops(writing.pieces(), wish.keywords.get("stop_strings", ())):
            yield _part(piece)
    finally:
        writing.stop()


def _part(text: str) -> Arrays:
    return {"text": bytes_array([text], (1,))}


class _Writing:
    """One call of `generate`, on a thread that ends with it."""

    def __init__(self, generation: Generate, encoded: Any, wish: Any) -> None:
        transformers = generation.parts.transformers
        self._is_over = threading.Event()
        self._error: Optional[BaseException] = None
        self._streamer = _Streamer(generation.parts.tokenizer)
        criteria = transformers.StoppingCriteriaList([self._stops])
        more = {"streamer": self._streamer, "stopping_criteria": criteria}
        self._torch = generation.parts.torch
        self._thread = threading.Thread(target=self._run, args=(generation, encoded, wish, more), daemon=True)
        self._thread.start()

    def pieces(self) -> Iterator[str]:
        """Raises what `generate` raised."""
        while (piece := self._streamer.pieces.get()) is not None:
            yield piece
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _stops(self, tokens: Any, scores: Any, **_more: Any) -> Any:
        return self._torch.full(
            (tokens.shape[0],), self._is_over.is_set(), device=tokens.device, dtype=self._torch.bool
        )

    def _run(self, generation: Generate, encoded: Any, wish: Any, more: Mapping[str, Any]) -> None:
        try:
            generation.generate(encoded, wish, **more)
        except BaseException as error:  # noqa: BLE001  it is raised again where the pieces are read
            self._error = error
        finally:
            self._streamer.pieces.put(None)


class _Streamer:
    """Tokens as `generate` hands them over, the prompt first, to text. None in `pieces` is its end.

    A token alone may be half a character, and a word's beginning may tell whether there is a space before it: a few
    tokens back are decoded along, and a text that ends in half a character waits for the next token.
    """

    def __init__(self, tokenizer: Any) -> None:
        self.pieces: "queue.SimpleQueue[Optional[str]]" = queue.SimpleQueue()
        self._tokenizer = tokenizer
        self._is_prompt = True
        self._tokens: List[int] = []
        self._back = self._told = 0

    def put(self, tokens: Any) -> None:
        if self._is_prompt:
            self._is_prompt = False
            return
        self._tokens += tokens.reshape(-1).tolist()
        self._tell(is_end=False)

    def end(self) -> None:
        self._tell(is_end=True)

    def _tell(self, *, is_end: bool) -> None:
        before = self._decoded(self._tokens[self._back : self._told])
        text = self._decoded(self._tokens[self._back :])
        if len(text) > len(before) and (is_end or not text.endswith(HALF)):
            self.pieces.put(text[len(before) :])
            self._back, self._told = self._told, len(self._tokens)

    def _decoded(self, tokens: Sequence[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def before_stops(pieces: Iterable[str], stops: Sequence[str]) -> Iterator[str]:
    """The text before the first of the words that end it; what may be a word's beginning is kept back."""
    kept, longest = "", max(map(len, stops), default=1)
    for piece in pieces:
        kept += piece
        places = [kept.index(stop) for stop in stops if stop in kept]
        if places:
            if min(places):
                yield kept[: min(places)]
            return
        ready = len(kept) - (longest - 1)
        if ready > 0:
            yield kept[:ready]
            kept = kept[ready:]
    if kept:
        yield kept
