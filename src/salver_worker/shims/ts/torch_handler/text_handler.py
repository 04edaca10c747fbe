"""Texts: cleaned, cut into tokens, and the vocabulary that gives them numbers."""

from __future__ import annotations

import os
import pickle
import re
import string
import unicodedata
from typing import Any, List

import torch

from salver_worker.failures import LoadFailure
from ts.handler_utils.text_utils import get_tokenizer
from ts.torch_handler.base_handler import BaseHandler
from ts.torch_handler.contractions import expanded

SOURCE_VOCAB = "source_vocab.pt"
_TAGS = re.compile(r"<.*?>|&([a-z0-9]+|#[0-9]{1,6}|#x[0-9a-f]{1,6});")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class TextHandler(BaseHandler):
    """A handler with `source_vocab`, from a token to its number, and `tokenizer`."""

    def __init__(self) -> None:
        super().__init__()
        self.source_vocab: Any = None
        self.tokenizer = get_tokenizer("basic_english")

    def initialize(self, context: Any) -> None:
        super().initialize(context)
        self.initialized = False
        self.source_vocab = self._load_vocab(self.get_source_vocab_path(context))
        self.initialized = True

    def get_source_vocab_path(self, ctx: Any) -> str:
        """The archive's file: the one that its manifest names, as older archivers let it, or `source_vocab.pt`."""
        name = self.manifest.get("model", {}).get("sourceVocab") or SOURCE_VOCAB
        path = os.path.join(ctx.system_properties.get("model_dir"), name)
        if not os.path.isfile(path):
            raise LoadFailure(
                "the archive has no file %s, which numbers the tokens of a text" % name,
                fix="Pack it with --extra-files %s." % SOURCE_VOCAB,
            )
        return path

    def _load_vocab(self, path: str) -> Any:
        try:
            return torch.load(path, weights_only=True)
        except pickle.UnpicklingError as error:
            raise LoadFailure(
                "%s holds objects of a library, and only plain ones are loaded from there" % os.path.basename(path),
                fix="Save the vocabulary as a dict: torch.save(dict(vocab.get_stoi()), %r)." % SOURCE_VOCAB,
            ) from error

    def number_of(self, token: str) -> int:
        """What the vocabulary says, or what it says of `<unk>`. Raises KeyError where it has neither."""
        try:
            return int(self.source_vocab[token])
        except KeyError:
            return int(self.source_vocab["<unk>"])

    # Cleaning

    def _expand_contractions(self, text: str) -> str:
        return expanded(text)

    def _remove_accented_characters(self, text: str) -> str:
        return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()

    def _remove_html_tags(self, text: str) -> str:
        return _TAGS.sub("", text)

    def _remove_punctuation(self, text: str) -> str:
        return text.translate(_PUNCTUATION)

    _remove_puncutation = _remove_punctuation  # the original's older name

    def _tokenize(self, text: str) -> List[str]:
        return self.tokenizer(text)

    # Explaining

    def get_word_token(self, input_tokens: List[str]) -> List[str]:
        return [token.replace("Ġ", "") for token in input_tokens]

    def summarize_attributions(self, attributions: Any) -> Any:
        shares = torch.nn.functional.softmax(attributions, dim=-1)
        return shares / torch.norm(shares.sum(dim=-1))
