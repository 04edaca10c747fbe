"""What a runtime is: a module with a function ``load(LoadRequest) -> TensorModel or BodyModel``, and a row in `specs`.

A TensorModel takes and gives arrays by name. Arrays it is given are read-only and may be reused once `predict` has
returned: who keeps or changes one makes a copy. BYTES tensors are arrays of objects, each `bytes`; BF16 tensors arrive
widened to float32. The rows (first dimension) of all outputs are the rows of the inputs.

A BodyModel takes a list of requests and gives a list of responses of the same length.

`load` and `predict` run on the main thread. They may raise anything: the worker turns it into a frame. `LoadFailure`,
`InputError` and `PredictFailure` say what the reader is told; of other exceptions callers hear only that they happened.
"""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    Iterator,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Protocol,
    Sequence,
    Tuple,
    Union,
)

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

Arrays = Dict[str, "Array"]
Signature = Dict[str, Any]
"""As in READY: {"inputs": [{"name", "datatype", "shape", "columns"?}], "outputs": [...], "ranking": None}."""


class LoadRequest(NamedTuple):
    """What LOAD says: the model, the file or folder that holds it, the folder of files it names, and its manifest."""

    model: str
    version: int
    path: str
    folder: str
    manifest: Mapping[str, Any] = {}
    threads: int = 1
    batch_rows: int = 1
    warm_up_rounds: int = 1


class BodyRequest(NamedTuple):
    """One request as it came: parts are (name, content type, bytes); the bytes may be reused after `predict_bodies`."""

    id: str
    headers: Dict[str, str]
    parts: List[Tuple[str, str, memoryview]]
    send_part: "Optional[Callable[[BodyResponse], None]]" = None
    """Sends a part of the answer at once, on the main thread; what `predict_bodies` returns is the last one then. None:
    whoever asks takes no parts."""


class BodyResponse(NamedTuple):
    """One answer. `content_type` None sends no such header."""

    data: Union[bytes, bytearray]
    content_type: Optional[str] = None
    status: int = 200
    phrase: str = ""
    headers: Mapping[str, str] = {}


class Model(Protocol):
    """What every loaded model tells of itself."""

    payload: str
    signature: Signature
    runtime_version: str
    has_batch_dimension: bool
    details: Dict[str, str]

    def close(self) -> None:
        """Give back what a process exit alone would not."""


class TensorModel(Model, Protocol):
    def predict(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Arrays:
        """The outputs for these inputs. `parameters` are what the request carries beside its tensors."""


class PartsModel(TensorModel, Protocol):
    """A TensorModel that can give an answer in parts. A runtime may have it or not.

    `predict` gives the whole answer to callers who take no parts; `parts.joined` makes it of the parts.
    """

    def predict_parts(self, inputs: Arrays, parameters: Mapping[str, Any]) -> Iterator[Arrays]:
        """The parts of one request's answer, in order, each with all outputs and as many rows as the inputs.

        Each is sent before the next one is asked for. A generator that is given up (whoever asked is gone) is closed.
        """


class SelectiveModel(TensorModel, Protocol):
    """A TensorModel that can save the work for outputs that nobody asks for. A runtime may have it or not."""

    def leave_out(self, names: Sequence[str]) -> None:
        """Do without these outputs from now on, in `predict` and in `signature`. Called once, after `load`."""


class NamedSignature(NamedTuple):
    """A signature beside a model's default one, and what answers it."""

    signature: Signature
    has_batch_dimension: bool
    predict: Callable[[Arrays, Mapping[str, Any]], Arrays]


class NamingModel(TensorModel, Protocol):
    """A TensorModel that can be asked for more than one thing. A runtime may have it or not.

    `default_signature` is what the model itself calls the one that `signature` and `predict` are of, `signatures` are
    all others. `signature_defs` is what TensorFlow Serving's clients are told of all of them: SignatureDefs as JSON.
    """

    default_signature: str
    signatures: Mapping[str, NamedSignature]
    signature_defs: Mapping[str, Any]


class BodyModel(Model, Protocol):
    def predict_bodies(self, requests: Sequence[BodyRequest]) -> List[BodyResponse]:
        """One response for each request, in order."""


class MeasuringModel(Model, Protocol):
    """A model whose own code measures things. A runtime may have it or not."""

    def measures(self) -> List[Any]:
        """The rows of ``measures.py``. Called on another thread than `predict`."""


def tensor(name: str, datatype: str, shape: Optional[Sequence[int]], columns: Sequence[str] = ()) -> Dict[str, Any]:
    """One row of a signature; -1 is a free dimension, and None a shape of which not even the rank is known.

    `columns` names the values of a row, where they have names.
    """
    if shape is None:
        return {"name": name, "datatype": datatype, "shape": [-1], "has_rank": False}
    row: Dict[str, Any] = {"name": name, "datatype": datatype, "shape": list(shape)}
    return {**row, "columns": list(columns)} if columns else row


def signature(inputs: Sequence[Dict[str, Any]], outputs: Sequence[Dict[str, Any]]) -> Signature:
    return {"inputs": list(inputs), "outputs": list(outputs), "ranking": None}
