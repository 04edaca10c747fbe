"""A TensorFlow SavedModel, run as TensorFlow Serving runs it: a session on its graph, fed by its signatures.

Models of TensorFlow 1 and 2 and exports of Keras are the same here. Nothing of the Python that made them is needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Callable, Dict, List, Mapping, Sequence, Tuple

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Arrays, LoadRequest, NamedSignature, signature
from salver_worker.runtimes.tensorflow_process import device_names, open_tensorflow, translated, words_of
from salver_worker.runtimes.tensorflow_signatures import DEFAULT, Described, default_name, definitions, describe

if TYPE_CHECKING:
    from salver_worker.arrays import Array

SERVE = "serve"
"""The tag of the graph that is for serving."""
Run = Callable[..., Sequence[Any]]


def load(request: LoadRequest) -> SavedModel:
    tensorflow = open_tensorflow()
    tags = _tags(request.path)
    compat = tensorflow.compat.v1
    session = compat.Session(graph=tensorflow.Graph(), config=_config(compat, request.threads))
    try:
        with session.graph.as_default():
            graph = compat.saved_model.load(session, tags, request.path)
    except tensorflow.errors.NotFoundError as error:
        raise LoadFailure("the SavedModel cannot be loaded: %s" % words_of(error), fix=_fix(str(error))) from error
    return SavedModel(tensorflow, session, graph)


class SavedModel:
    payload = "tensors"

    def __init__(self, tensorflow: Any, session: Any, graph: Any) -> None:
        self._tensorflow = tensorflow
        self._session = session
        described, left_out = _described(graph)
        self.default_signature = default_name(list(described))
        self.signature_defs = definitions(graph)
        self.signatures = {
            name: NamedSignature(it.signature, it.has_batch_dimension, self._answering(it))
            for name, it in described.items()
            if name != self.default_signature
        }
        default = self._default = described[self.default_signature]
        self.signature = default.signature
        self.has_batch_dimension = default.has_batch_dimension
        self.predict = self._answering(default)
        self.runtime_version = "tensorflow " + tensorflow.__version__
        self.details = {
            "devices": ", ".join(device_names(tensorflow)),
            "saved_with": "tensorflow " + (graph.meta_info_def.tensorflow_version or "of an unknown version"),
        }
        if self.default_signature != DEFAULT:
            self.details["default_signature"] = "%s: the model has no %s" % (self.default_signature, DEFAULT)
        if left_out:
            self.details["signatures_left_out"] = "; ".join(left_out)

    def leave_out(self, names: Sequence[str]) -> None:
        kept = [
            (row, fetch)
            for row, fetch in zip(self._default.signature["outputs"], self._default.fetches)
            if row["name"] not in names
        ]
        self.signature = signature(self.signature["inputs"], [row for row, _ in kept])
        fetches = tuple(fetch for _, fetch in kept)
        self._default = self._default._replace(signature=self.signature, fetches=fetches)
        self.predict = self._answering(self._default)

    def close(self) -> None:
        self._session.close()

    def _answering(self, described: Described) -> Callable[[Arrays, Mapping[str, Any]], Arrays]:
        run = self._callable(described)
        inputs = [row["name"] for row in described.signature["inputs"]]
        outputs = [row["name"] for row in described.signature["outputs"]]
        wide = [row["name"] for row in described.signature["inputs"] if row["datatype"] == "BF16"]
        fixed = [row["name"] for row in described.signature["outputs"] if _needs_fixing(row)]
        narrow = self._tensorflow.bfloat16.as_numpy_dtype

        def predict(given: Arrays, _parameters: Mapping[str, Any]) -> Arrays:
            for name in wide:
                given = {**given, name: given[name].astype(narrow)}
            try:
                answers = dict(zip(outputs, run(*[given[name] for name in inputs])))
            except self._tensorflow.errors.OpError as error:
                raise translated(self._tensorflow, error) from error
            for name in fixed:
                answers[name] = _fixed(answers[name])
            return answers

        return predict

    def _callable(self, described: Described) -> Run:
        """The session's own quick way: `run` checks and sorts anew, in Python, what is the same every time."""
        from tensorflow.core.protobuf.config_pb2 import CallableOptions

        asked = CallableOptions(feed=described.feeds, fetch=described.fetches)
        run: Run = self._session._make_callable_from_options(asked)  # noqa: SLF001
        return run


def _config(compat: Any, threads: int) -> Any:
    config = compat.ConfigProto(intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads)
    config.gpu_options.allow_growth = True
    config.experimental.disable_thread_spinning = True  # a worker that waits must not burn its neighbours' processor
    return config


def _tags(folder: str) -> List[str]:
    """Those of the graph that is to be served. Raises LoadFailure."""
    from google.protobuf import text_format
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel as Message

    message = Message()
    binary = os.path.join(folder, "saved_model.pb")
    try:
        if os.path.isfile(binary):
            with open(binary, "rb") as file:
                message.ParseFromString(file.read())
        else:
            with open(os.path.join(folder, "saved_model.pbtxt"), encoding="utf-8") as file:
                text_format.Parse(file.read(), message)
    except (DecodeError, text_format.ParseError) as error:
        text = "the SavedModel's graph cannot be read: %s" % words_of(error)
        raise LoadFailure(text, fix="Copy the folder again; saved_model.pb may have been cut short.") from error
    graphs = [sorted(graph.meta_info_def.tags) for graph in message.meta_graphs]
    if [SERVE] in graphs:
        return [SERVE]
    if len(graphs) == 1:
        return graphs[0]
    listed = "; ".join(", ".join(tags) or "none" for tags in graphs) or "none"
    text = "the SavedModel has no graph with the tag %s; the tags of its graphs are: %s" % (SERVE, listed)
    raise LoadFailure(text, fix="Save it again with tf.saved_model.save, or with the tag of serving.")


def _described(graph: Any) -> Tuple[Dict[str, Described], List[str]]:
    """The signatures that can be asked, and why others cannot. Raises LoadFailure when there are none."""
    described, left_out = {}, []
    for name, definition in sorted(graph.signature_def.items()):
        if name.startswith("__"):
            continue
        try:
            described[name] = describe(definition)
        except ValueError as error:
            left_out.append("%s: %s" % (name, error))
    if not described:
        text = "the SavedModel has no signature that can be asked%s" % ("".join(": " + it for it in left_out[:1]))
        raise LoadFailure(
            text, fix="Save it with signatures of dense tensors: tf.saved_model.save(..., signatures=...)."
        )
    return described, left_out


def _needs_fixing(row: Mapping[str, Any]) -> bool:
    return not row["shape"] or "has_rank" in row or row["datatype"] == "BF16"


def _fixed(value: Any) -> Array:
    """A value alone as an array of it, and BF16 as float32."""
    if isinstance(value, (bytes, str)):
        return bytes_array([value], ())
    array: Array = np.asarray(value)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def _fix(said: str) -> str:
    if "Op type not registered" in said:
        return "Name the library that has the operator, such as tensorflow-text, in requirements.txt beside the model."
    return "Copy the folder again, whole: saved_model.pb, variables and assets."
