"""Tasks that write: what a prompt goes on with, and what one text is turned into."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.runtimes.base import Arrays, tensor
from salver_worker.runtimes.options import count_option
from salver_worker.runtimes.transformers_parameters import flag, number, texts, whole
from salver_worker.runtimes.transformers_parts import Parts, decoded

CAP = 1024
"""The most tokens that a request may ask for, where model.toml says nothing."""
ENOUGH = 128
"""What a request gets that asks for no number, where the model's own settings have none."""
MAX_SEED = (1 << 63) - 1


class Wish(NamedTuple):
    """How one request wants its text: the keywords of `generate`, and what is not among them."""

    keywords: Dict[str, Any]
    tokens: int
    seed: Optional[int]
    has_prompt: bool


class Generate:
    """Texts by the model's own `generate`; subclasses say what goes in and what of it comes out."""

    is_going_on = True
    """Whether what is written goes on from the prompt, as the same row of tokens."""
    inputs = (tensor("prompt", "BYTES", (-1,)),)
    outputs = (tensor("text", "BYTES", (-1,)),)

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._cap = count_option(parts.request, "max_new_tokens", CAP)
        self._input = self.inputs[0]["name"]
        if self.is_going_on:
            parts.tokenizer.padding_side = "left"
        is_stateful = bool(getattr(parts.model, "_is_stateful", False))
        self._rows_at_once = 1 if is_stateful else parts.batch_size
        self.details = {"max_new_tokens": str(self._cap)}

    def run(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        wish = self.wish(parameters)
        prompts = decoded(self._input, inputs[self._input])
        rows = 1 if wish.seed is not None else self._rows_at_once
        written = [
            text
            for start in range(0, len(prompts), rows)
            for text in self._batch(prompts[start : start + rows], start, wish)
        ]
        return {"text": bytes_array(written, (len(written),))}

    def wish(self, parameters: Mapping[str, Any]) -> Wish:
        """Raises InputError for what is out of bounds."""
        name = "max_tokens" if "max_tokens" in parameters else "max_new_tokens"
        own = getattr(self.parts.model.generation_config, "max_new_tokens", None)
        asked = whole(parameters, name, 1, self._cap) or min(own or ENOUGH, self._cap)
        keywords: Dict[str, Any] = {
            "min_new_tokens": whole(parameters, "min_new_tokens", 0, asked),
            "top_k": whole(parameters, "top_k", 1, 1_000_000),
            "top_p": number(parameters, "top_p", 0.0, 1.0),
            "repetition_penalty": number(parameters, "repetition_penalty", 0.01, 100.0),
            "num_beams": whole(parameters, "num_beams", 1, 16),
            "stop_strings": texts(parameters, "stop"),
            "do_sample": flag(parameters, "do_sample"),
        }
        temperature = number(parameters, "temperature", 0.0, 100.0)
        if temperature is not None:
            keywords["do_sample"] = temperature > 0 if keywords["do_sample"] is None else keywords["do_sample"]
            keywords["temperature"] = temperature or None
        return Wish(
            keywords={key: value for key, value in keywords.items() if value is not None},
            tokens=asked,
            seed=whole(parameters, "seed", 0, MAX_SEED),
            has_prompt=bool(flag(parameters, "return_full_text")) and self.is_going_on,
        )

    def encode(self, prompts: Sequence[str], first_row: int, wish: Wish) -> Any:
        """Tokens on the model's device. Raises InputError for a prompt that leaves no room to write."""
        parts = self.parts
        encoded = parts.tokenizer(list(prompts), padding=len(prompts) > 1, return_tensors="pt")
        encoded.pop("token_type_ids", None)
        for row, mask in enumerate(encoded["attention_mask"]):
            count, most = int(mask.sum()), parts.tokenizer.model_max_length - (1 if self.is_going_on else 0)
            if count == 0 or count > most:
                what = "is empty" if count == 0 else "has %d tokens, and the model reads %d" % (count, most)
                raise InputError("the input %s %s, in row %d" % (self._input, what, first_row + row))
        return encoded.to(parts.device)

    def generate(self, encoded: Any, wish: Wish, **more: Any) -> Any:
        """The rows of tokens that the model writes."""
        parts = self.parts
        room = parts.tokenizer.model_max_length - encoded["input_ids"].shape[1]
        most = min(wish.tokens, room) if self.is_going_on else wish.tokens
        keywords = {**wish.keywords, "max_new_tokens": most, "pad_token_id": parts.tokenizer.pad_token_id}
        keywords["min_new_tokens"] = min(wish.keywords.get("min_new_tokens", 0), most)
        if "stop_strings" in keywords:
            keywords["tokenizer"] = parts.tokenizer
        if wish.seed is not None:
            parts.torch.manual_seed(wish.seed)
        with parts.torch.inference_mode():
            return parts.model.generate(**encoded, **keywords, **more)

    def _batch(self, prompts: Sequence[str], first_row: int, wish: Wish) -> List[str]:
        encoded = self.encode(prompts, first_row, wish)
        found = self.generate(encoded, wish)
        start = encoded["input_ids"].shape[1] if self.is_going_on else 0
        written = self.parts.tokenizer.batch_decode(found[:, start:], skip_special_tokens=True)
        written = [without_stop(text, wish.keywords.get("stop_strings", ())) for text in written]
        return [prompt + text for prompt, text in zip(prompts, written)] if wish.has_prompt else written


class Rewrite(Generate):
    """A text made of another one: translated, summarised, answered."""

    is_going_on = False
    inputs = (tensor("text", "BYTES", (-1,)),)


def without_stop(text: str, stops: Sequence[str]) -> str:
    """The text before the first of the words that end it."""
    places = [text.index(stop) for stop in stops if stop in text]
    return text[: min(places)] if places else text
