"""A pipeline of spaCy, as `nlp.to_disk` wrote it: texts in, and out what its components assign.

`label` and `scores` are of classifiers, `entities`, `spans` and `sentences` of what finds them, `vector` is the mean of
word vectors, and `tokens` has the rest. What has no fixed size is JSON, one document for each text; places are
characters.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, Sequence, Set, Tuple

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure, describe
from salver_worker.runtimes.base import Arrays, LoadRequest, signature, tensor
from salver_worker.runtimes.classes import without
from salver_worker.runtimes.texts import texts

if TYPE_CHECKING:
    from salver_worker.arrays import Array

ONLY_INPUT = "x"
CLASSIFIERS = ("textcat", "textcat_multilabel")
TOKEN_KEYS = (
    ("token.pos", "pos", "pos_"),
    ("token.tag", "tag", "tag_"),
    ("token.morph", "morph", "morph"),
    ("token.lemma", "lemma", "lemma_"),
    ("token.dep", "dep", "dep_"),
    ("token.ent_type", "entity", "ent_type_"),
)
"""What a component assigns, the key in `tokens`, and the attribute of spaCy's token."""


def load(request: LoadRequest) -> SpacyModel:
    import spacy

    try:
        pipeline = spacy.load(request.path)
    except ValueError as error:
        raise LoadFailure(
            "spaCy %s cannot open the pipeline: %s" % (spacy.__version__, describe(error)),
            fix="Name the packages that its components come from in a requirements.txt beside it.",
        ) from error
    return SpacyModel(pipeline, "spacy " + spacy.__version__)


class SpacyModel:
    payload = "tensors"
    has_batch_dimension = True

    def __init__(self, pipeline: Any, runtime_version: str) -> None:
        metas = [(name, pipeline.get_pipe_meta(name)) for name in pipeline.pipe_names]
        self._pipeline = pipeline
        self._assigned: Set[str] = {each for _name, meta in metas for each in meta.assigns}
        self._labels = list(dict.fromkeys(_labels(pipeline, metas)))
        self._is_exclusive = [meta.factory for _, meta in metas if meta.factory in CLASSIFIERS] == ["textcat"]
        self._writers: Dict[str, Tuple[Dict[str, Any], Callable[[List[Any]], Array]]] = dict(self._outputs())
        self.runtime_version = runtime_version
        self.signature = signature(
            [tensor(ONLY_INPUT, "BYTES", (-1,))], [row for row, _writer in self._writers.values()]
        )
        self.details = {"pipeline": ", ".join(pipeline.pipe_names), "language": pipeline.lang}
        if self._labels:
            self.details["classes"] = json.dumps(self._labels)

    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        given = texts(ONLY_INPUT, inputs[ONLY_INPUT])
        longest = self._pipeline.max_length
        for row, text in enumerate(given):
            if len(text) > longest:
                message = "the text in row %d has %d characters; the pipeline takes %d" % (row, len(text), longest)
                raise InputError(message)
        documents = list(self._pipeline.pipe(given))
        return {name: write(documents) for name, (_row, write) in self._writers.items()}

    def leave_out(self, names: Sequence[str]) -> None:
        self.signature = without(self.signature, names)
        self._writers = {name: writer for name, writer in self._writers.items() if name not in names}

    def close(self) -> None:
        """Nothing to give back."""

    def _outputs(self) -> Iterator[Tuple[str, Any]]:
        if self._is_exclusive:
            yield "label", (tensor("label", "BYTES", (-1,)), self._likeliest)
        if self._labels:
            yield "scores", (tensor("scores", "FP32", (-1, len(self._labels))), self._scores)
        if "doc.ents" in self._assigned:
            yield "entities", _json_output("entities", lambda document: [_span(each) for each in document.ents])
        if "doc.spans" in self._assigned:
            yield "spans", _json_output("spans", _span_groups)
        if self._assigned & {"doc.sents", "token.is_sent_start"}:
            yield "sentences", _json_output("sentences", lambda document: [_place(each) for each in document.sents])
        width = self._pipeline.vocab.vectors_length
        if width:
            yield "vector", (tensor("vector", "FP32", (-1, width)), lambda documents: _vectors(documents, width))
        yield "tokens", _json_output("tokens", self._tokens)

    def _scores(self, documents: List[Any]) -> Array:
        table = [[document.cats.get(label, 0.0) for label in self._labels] for document in documents]
        return np.array(table, np.float32).reshape(len(documents), len(self._labels))

    def _likeliest(self, documents: List[Any]) -> Array:
        return bytes_array([max(each.cats, key=each.cats.get) for each in documents], (len(documents),))

    def _tokens(self, document: Any) -> List[Dict[str, Any]]:
        keys = [(key, attribute) for assigned, key, attribute in TOKEN_KEYS if assigned in self._assigned]
        has_heads = "token.head" in self._assigned
        rows = []
        for token in document:
            row = {"text": token.text, "start": token.idx, "end": token.idx + len(token)}
            row.update((key, str(getattr(token, attribute))) for key, attribute in keys)
            if has_heads:
                row["head"] = token.head.i
            rows.append(row)
        return rows


def _labels(pipeline: Any, metas: Sequence[Tuple[str, Any]]) -> Iterator[str]:
    for name, meta in metas:
        if meta.factory in CLASSIFIERS:
            yield from pipeline.get_pipe(name).labels


def _json_output(name: str, describe_document: Callable[[Any], Any]) -> Tuple[Dict[str, Any], Callable[..., Array]]:
    def write(documents: List[Any]) -> Array:
        rows = [json.dumps(describe_document(each), ensure_ascii=False) for each in documents]
        return bytes_array(rows, (len(rows),))

    return tensor(name, "BYTES", (-1,)), write


def _place(span: Any) -> Dict[str, Any]:
    return {"text": span.text, "start": span.start_char, "end": span.end_char}


def _span(span: Any) -> Dict[str, Any]:
    row = {**_place(span), "label": span.label_}
    return {**row, "id": span.kb_id_} if span.kb_id_ else row


def _span_groups(document: Any) -> Dict[str, Any]:
    return {key: [_span(each) for each in group] for key, group in document.spans.items()}


def _vectors(documents: List[Any], width: int) -> Array:
    table = np.zeros((len(documents), width), np.float32)
    for row, document in enumerate(documents):
        if len(document):
            table[row] = np.asarray(document.vector)
    return table
