"""The rows that describe the runtimes: plain data, read by the server as well, so nothing heavy is imported here."""

from typing import NamedTuple, Tuple


class RuntimeSpec(NamedTuple):
    """One runtime.

    `extensions` are the endings of files it opens, `markers` the files whose presence makes a folder its own. `trust`
    is "data" when opening the file runs none of its code, else "code". `payload` is "tensors" or "body". Requests to an
    idempotent runtime may be run again on another worker when theirs died. `library` is the package on whose version an
    artefact depends: where nobody says in what a model runs, an environment with it is built. Empty: there is none.
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
)

SPECS: Tuple[RuntimeSpec, ...] = (
    ECHO,
    FUNCTION,
    SKLEARN,
    ONNX,
    MAR,
    XGBOOST,
    LIGHTGBM,
    CATBOOST,
    STATSMODELS,
    SPACY,
    PMML,
    MLFLOW,
)


def spec_named(name: str) -> "RuntimeSpec | None":
    """The row of this name, or None."""
    return next((spec for spec in SPECS if spec.name == name), None)
