"""The rows that describe the runtimes: plain data, read by the server as well, so nothing heavy is imported here."""

from typing import NamedTuple, Tuple


class RuntimeSpec(NamedTuple):
    """One runtime.

    `extensions` are the endings of files it opens, `markers` the files whose presence makes a folder its own. `trust`
    is "data" when opening the file runs none of its code, else "code". `payload` is "tensors" or "body". Requests to an
    idempotent runtime may be run again on another worker when theirs died. `library` is the package on whose version an
    artefact depends: where nobody says in what a model runs, an environment with it is built. Empty: there is none.
    `options` are the keys that model.toml may have under `[runtime]`. `python` is the range of interpreters that the
    library exists for; empty: all. A runtime without a module is a program that speaks the frame protocol itself.

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
    options: Tuple[str, ...] = ()
    python: str = ""


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
    streams=True,
    batching="model",
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
    streams=True,
)
MXNET = RuntimeSpec(
    name="mxnet",
    label="MXNet model (symbol and parameters)",
    module="salver_worker.runtimes.mxnet",
    extensions=("-symbol.json",),
    markers=(),
    requirements=("mxnet",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="mxnet",
    python=">=3.8,<3.12",
    batching="model",
)
R = RuntimeSpec(
    name="r",
    label="R model or function",
    module="salver_worker.runtimes.r",
    extensions=(".rds", ".RData", ".rda", ".R"),
    markers=("predict.R",),
    requirements=(),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    datatypes=("FP64", "INT32", "BOOL", "BYTES"),
)
EXECUTABLE = RuntimeSpec(
    name="executable",
    label="Executable that speaks the frame protocol",
    module="",
    extensions=(),
    markers=("model.toml",),
    requirements=(),
    trust="code",
    payload="tensors",
    is_idempotent=False,
    batching="model",
)

TORCH = RuntimeSpec(
    name="torch",
    label="PyTorch (TorchScript, torch.export, weights with their module)",
    module="salver_worker.runtimes.torch",
    extensions=(".pt", ".pt2", ".pth", ".torchscript", ".safetensors"),
    markers=(),
    requirements=("torch",),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="torch",
    options=("device", "inputs", "outputs", "module", "class", "arguments", "whole_pickle"),
    datatypes=(
        *("BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"),
        *("FP16", "BF16", "FP32", "FP64"),
    ),
    batching="model",
)
TRANSFORMERS = RuntimeSpec(
    name="transformers",
    label="Hugging Face model (a folder of transformers)",
    module="salver_worker.runtimes.transformers",
    extensions=(),
    markers=("config.json",),
    requirements=("transformers", "torch", "pillow"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="transformers",
    options=("task", "device", "dtype", "labels", "pooling", "max_new_tokens", "trust_remote_code"),
    datatypes=("BYTES", "FP32", "INT64"),
    streams=True,
)
XGBOOST = RuntimeSpec(
    name="xgboost",
    label="XGBoost",
    module="salver_worker.runtimes.xgboost",
    extensions=(".ubj", ".xgb", ".bst"),
    markers=(),
    requirements=("xgboost-cpu",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="xgboost-cpu",
    datatypes=("FP32", "INT64"),
)
LIGHTGBM = RuntimeSpec(
    name="lightgbm",
    label="LightGBM (text)",
    module="salver_worker.runtimes.lightgbm",
    extensions=(".lgb", ".bst"),
    markers=(),
    requirements=("lightgbm",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="lightgbm",
    datatypes=("FP64", "INT64", "BYTES"),
)
CATBOOST = RuntimeSpec(
    name="catboost",
    label="CatBoost",
    module="salver_worker.runtimes.catboost",
    extensions=(".cbm",),
    markers=(),
    requirements=("catboost",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="catboost",
    datatypes=("FP32", "FP64", "INT64", "BYTES"),
)
STATSMODELS = RuntimeSpec(
    name="statsmodels",
    label="statsmodels results",
    module="salver_worker.runtimes.statsmodels",
    extensions=(".pickle", ".statsmodels"),
    markers=(),
    requirements=("statsmodels", "pandas"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="statsmodels",
    datatypes=("FP64", "INT64", "BOOL", "BYTES"),
    batching="model",
)
SPACY = RuntimeSpec(
    name="spacy",
    label="spaCy pipeline",
    module="salver_worker.runtimes.spacy",
    extensions=(),
    markers=("meta.json", "config.cfg"),
    requirements=("spacy",),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="spacy",
    datatypes=("BYTES", "FP32"),
)
PMML = RuntimeSpec(
    name="pmml",
    label="PMML",
    module="salver_worker.runtimes.pmml",
    extensions=(".pmml",),
    markers=(),
    requirements=("pypmml",),
    trust="data",
    payload="tensors",
    is_idempotent=True,
    library="pypmml",
    datatypes=("FP64", "INT64", "BOOL", "BYTES"),
)
MLFLOW = RuntimeSpec(
    name="mlflow",
    label="MLflow model (python_function)",
    module="salver_worker.runtimes.mlflow",
    extensions=(),
    markers=("MLmodel",),
    requirements=("mlflow-skinny", "pandas"),
    trust="code",
    payload="tensors",
    is_idempotent=True,
    library="mlflow-skinny",
    datatypes=("FP64", "FP32", "INT64", "INT32", "BOOL", "BYTES"),
    batching="model",
)

SPECS: Tuple[RuntimeSpec, ...] = (
    ECHO,
    FUNCTION,
    SKLEARN,
    ONNX,
    XGBOOST,
    LIGHTGBM,
    CATBOOST,
    STATSMODELS,
    SPACY,
    PMML,
    TENSORFLOW,
    KERAS,
    TFLITE,
    JAX,
    TORCH,
    TRANSFORMERS,
    MXNET,
    R,
    MLFLOW,
    MAR,
    EXECUTABLE,
)


def spec_named(name: str) -> "RuntimeSpec | None":
    """The row of this name, or None."""
    return next((spec for spec in SPECS if spec.name == name), None)
