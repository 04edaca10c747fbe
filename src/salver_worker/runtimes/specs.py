"""The rows that describe the runtimes: plain data, read by the server as well, so nothing heavy is imported here."""

from typing import NamedTuple, Tuple


class RuntimeSpec(NamedTuple):
    """One runtime.

    `extensions` are the endings of files it opens, `markers` the files whose presence makes a folder its own. `trust`
    is "data" when opening the file runs none of its code, else "code". `payload` is "tensors" or "body". Requests to an
    idempotent runtime may be run again on another worker when theirs died. `library` is the package on whose version an
    artefact depends: where nobody says in what a model runs, an environment with it is built. Empty: there is none.

    The rest is for the tables of the documents: `datatypes` of its tensors (empty: whatever the model says), how
    requests of several callers are put together, and whether an answer may come in parts. `batching` is "rows" when the
    first dimension of all tensors always counts rows, "model" when the model says whether it does, "requests" when a
    handler gets a list of requests.
    """

    name: str
    label: str
    module: str
    extensions: Tuple[str, ...]
    markers: Tuple[str, ...]
    requirements: Tuple[str, ...]
    trust: str
    payload: str
    is_idempotent: bool
    library: str = ""
    datatypes: Tuple[str, ...] = ()
    batching: str = "rows"
    streams: bool = False


ECHO = RuntimeSpec(
    name="echo",
    label="Echo: answers what it was sent",
    module="salver_worker.runtimes.echo",
    extensions=(".echo",),
    markers=(),
    requirements=(),
    trust="data",
    payload="tensors",
    is_idempotent=True,
)
FUNCTION = RuntimeSpec(
    name="function",
    label="Python function or class",
    module="salver_worker.runtimes.function",
    extensions=(".py",),
    markers=(),
    requirements=(),
    trust="code",
    payload="tensors",
    is_idempotent=False,
)
SKLEARN = RuntimeSpec(
    name="sklearn",
    label="scikit-learn estimator (joblib, pickle, skops)",
    module="salver_worker.runtimes.sklearn",
    extensions=(".joblib", ".pkl", ".pickle", ".skops"),
    markers=(),
    requirements=("scikit-learn", "joblib"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="scikit-learn",
    datatypes=("FP64", "INT64", "BOOL", "BYTES"),
)
ONNX = RuntimeSpec(
    name="onnx",
    label="ONNX",
    module="salver_worker.runtimes.onnx",
    extensions=(".onnx", ".ort"),
    markers=(),
    requirements=("onnxruntime",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="onnxruntime",
    batching="model",
)
TENSORFLOW = RuntimeSpec(
    name="tensorflow",
    label="TensorFlow SavedModel",
    module="salver_worker.runtimes.tensorflow",
    extensions=(),
    markers=("saved_model.pb", "saved_model.pbtxt"),
    requirements=("tensorflow-cpu",),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="tensorflow-cpu",
    batching="model",
)
KERAS = RuntimeSpec(
    name="keras",
    label="Keras model",
    module="salver_worker.runtimes.keras",
    extensions=(".keras", ".h5", ".hdf5"),
    markers=(),
    requirements=("keras", "tensorflow-cpu"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="keras",
    batching="model",
)
TFLITE = RuntimeSpec(
    name="tflite",
    label="TensorFlow Lite (LiteRT) model",
    module="salver_worker.runtimes.tflite",
    extensions=(".tflite",),
    markers=(),
    requirements=("ai-edge-litert",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="ai-edge-litert",
    batching="model",
)
JAX = RuntimeSpec(
    name="jax",
    label="JAX function (jax.export)",
    module="salver_worker.runtimes.jax",
    extensions=(".jax", ".jaxexp", ".jax_export"),
    markers=(),
    requirements=("jax", "flatbuffers"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="jax",
    batching="model",
)
MAR = RuntimeSpec(
    name="mar",
    label="Model archive with a handler (MXNet Model Server, TorchServe)",
    module="salver_worker.runtimes.mar",
    extensions=(".mar",),
    markers=("MAR-INF/MANIFEST.json",),
    requirements=(),
    trust="code",
    payload="body",
    is_idempotent=False,
    batching="requests",
)

SPECS: Tuple[RuntimeSpec, ...] = (ECHO, FUNCTION, SKLEARN, ONNX, TENSORFLOW, KERAS, TFLITE, JAX, MAR)


def spec_named(name: str) -> "RuntimeSpec | None":
    """The row of this name, or None."""
    return next((spec for spec in SPECS if spec.name == name), None)
