"""A text to a probability for each class; one text at a time, as the original has it."""

from __future__ import annotations

from typing import Any, List, Tuple

import torch

from ts.handler_utils.text_utils import ngrams_iterator
from ts.torch_handler.text_handler import TextHandler
from ts.utils.util import map_class_to_label


class TextClassifier(TextHandler):
    """The model gets the numbers of tokens and ngrams, and offsets, as `torch.nn.EmbeddingBag` takes them."""

    ngrams = 2

    def preprocess(self, data: Any) -> Tuple[Any, List[str]]:
        text = data[0].get("data") or data[0].get("body")
        if isinstance(text, (bytes, bytearray)):
            text = text.decode("utf-8")
        text = self._expand_contractions(self._remove_html_tags(text).lower())
        tokens = self._tokenize(self._remove_punctuation(self._remove_accented_characters(text)))
        numbers = [self.number_of(token) for token in ngrams_iterator(tokens, self.ngrams)]
        return torch.as_tensor(numbers, dtype=torch.int64, device=self.device), tokens

    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        return super().inference(data[0], torch.as_tensor([0], device=self.device))

    def postprocess(self, data: Any) -> List[Any]:
        return map_class_to_label(torch.nn.functional.softmax(data, dim=-1).tolist(), self.mapping)

    def get_insights(self, tensor_data: Any, raw_data: Any, target: Any = 0) -> List[Any]:
        """How much each token and ngram counted. Needs captum."""
        from captum.attr import LayerIntegratedGradients, TokenReferenceBase

        numbers, tokens = tensor_data
        gradients = LayerIntegratedGradients(self.model, self.model.embedding)
        reference = TokenReferenceBase().generate_reference(numbers.shape[0], device=self.device).squeeze(0)
        shares = gradients.attribute(
            numbers,
            reference,
            additional_forward_args=(torch.as_tensor([0], device=self.device),),
            return_convergence_delta=False,
            target=target,
        )
        importances = self.summarize_attributions(shares)
        return [{"importances": importances.tolist(), "words": self.get_word_token(tokens)}]
