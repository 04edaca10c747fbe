"""What a model wants to run in, from the files that it comes with."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import Code, LoadError
from salver.models.discovery import discover
from salver.models.environmentfiles import EnvironmentWish, request_of_file
from salver.models.ownpackages import Fit
from salver.models.sources import ModelSource
from salver.models.specs import replica_spec, wanted_environment
from salver.replicas.environments.base import EnvironmentRequest, EnvironmentSettings
from salver.types import BatchSettings

MakeFile = Callable[..., Path]
FUNCTION = "def predict(x: float) -> float:\n    return x\n"
LOCK = "numpy==1.26.4 --hash=sha256:a\nsix==1.16.0 --hash=sha256:b\n"


@pytest.fixture
def found(make_file: MakeFile, tmp_path: Path) -> Callable[..., ModelSource]:
    """The model of a folder with a function and these files."""

    def make(**files: str) -> ModelSource:
        make_file("m/model.py", FUNCTION)
        for name, text in files.items():
            make_file(f"m/{name}", text)
        (model,) = discover([str(tmp_path / "m")], tmp_path / "artifacts").models
        return model

    return make


def wish(model: ModelSource) -> EnvironmentWish:
    assert model.wish is not None
    return model.wish


def test_a_model_that_asks_for_nothing_runs_in_the_server_s_own(found: Callable[..., ModelSource]) -> None:
    assert found().wish is None


def test_requirements_beside_the_artefact_count_with_what_every_worker_needs(found: Any) -> None:
    model = found(**{"requirements.txt": "tinylib<2\n"})
    assert wish(model).request == EnvironmentRequest(requirements=("numpy", "tinylib<2"), origin="requirements.txt")
    assert wish(model).fit is Fit.MISSING


def test_what_the_server_itself_has_needs_no_environment(found: Any) -> None:
    own = importlib.metadata.version("msgspec")
    model = found(**{"requirements.txt": f"msgspec=={own}\nnumpy\n"})
    assert wish(model).fit is Fit.FITS
    assert spec(model).environment is None
    assert spec(model, always_build_environments=True).environment == wish(model).request
    other = found(**{"requirements.txt": "msgspec==0.0.1\n"})
    assert wish(other).fit is Fit.DIFFERENT
    assert spec(other).environment == wish(other).request


def spec(model: ModelSource, **settings: Any) -> Any:
    chosen = EnvironmentSettings(**settings)
    return replica_spec(model, threads=1, batching=BatchSettings(), environments=chosen)


def test_a_file_of_exact_versions_with_hashes_is_taken_as_a_lock(found: Any) -> None:
    request = wish(found(**{"requirements.txt": LOCK})).request
    assert request.lock.splitlines() == LOCK.splitlines()
    assert request.requirements == ()


@pytest.mark.parametrize(
    ("files", "request_"),
    [
        (
            {"pyproject.toml": "[project]\nname='m'\nrequires-python='>=3.8'\ndependencies=['six>=1']\n"},
            EnvironmentRequest(python=">=3.8", requirements=("numpy", "six>=1"), origin="pyproject.toml"),
        ),
        (
            {"conda.yaml": "dependencies:\n  - python=3.10\n  - six=1.16\n  - pip:\n    - tinylib\n"},
            EnvironmentRequest(
                python="==3.10.*", requirements=("numpy", "six==1.16.*", "tinylib"), origin="conda.yaml"
            ),
        ),
        (
            {"environment.yml": "dependencies:\n  - six\n"},
            EnvironmentRequest(requirements=("numpy", "six"), origin="environment.yml"),
        ),
        (
            {
                "python_env.yaml": "python: 3.10.12\nbuild_dependencies: []\ndependencies: ['-r requirements.txt']\n",
                "requirements.txt": "mlflow==2.9\n",
                "conda.yaml": "dependencies: [six]\n",
            },
            EnvironmentRequest(python="3.10", requirements=("mlflow==2.9", "numpy"), origin="python_env.yaml"),
        ),
        (
            {"model.toml": "[environment]\nrequirements = ['six']\npython = '3.8'\n", "requirements.txt": "tinylib\n"},
            EnvironmentRequest(python="3.8", requirements=("numpy", "six"), origin="model.toml"),
        ),
        (
            {
                "model.toml": "[environment]\nrequirements = 'needs.txt'\n",
                "needs.txt": "-c c.txt\nsix\n",
                "c.txt": "six<2",
            },
            EnvironmentRequest(requirements=("numpy", "six"), constraints=("six<2",), origin="needs.txt"),
        ),
        (
            {"model.toml": "[environment]\nlock = 'x.lock'\n", "x.lock": LOCK},
            EnvironmentRequest(lock=LOCK, origin="x.lock"),
        ),
        (
            {"model.toml": "[environment]\npython = '3.8'\n"},
            EnvironmentRequest(python="3.8", requirements=("numpy",), origin="model.toml"),
        ),
        (
            {"requirements.txt": "mxnet==1.9.1\n"},
            EnvironmentRequest(
                python=">=3.8,<3.12",
                requirements=("mxnet==1.9.1", "numpy"),
                constraints=("numpy<1.24",),
                origin="requirements.txt",
            ),
        ),
    ],
)
def test_every_source_is_read_and_the_nearest_to_the_model_counts(
    found: Any, files: dict[str, str], request_: EnvironmentRequest
) -> None:
    assert wish(found(**files)).request == request_


def test_a_file_cannot_name_a_program_to_run_as_an_interpreter(found: Any) -> None:
    for python in ("/bin/sh", "sh", "2.7.18"):
        model = found(**{"python_env.yaml": f"python: {python}\ndependencies: [six]\n"})
        assert wish(model).request.python == ""


def test_a_file_that_does_not_count_is_told(found: Any) -> None:
    model = found(**{"requirements.txt": "six\n", "conda.yaml": "dependencies: [numpy]\n"})
    assert model.notes == ("conda.yaml is not used: requirements.txt counts",)


def test_an_interpreter_that_is_named_is_an_environment_already(found: Any) -> None:
    model = found(**{"model.toml": "[environment]\npython = '/opt/env/bin/python'\n", "requirements.txt": "six\n"})
    assert model.wish is None
    assert spec(model).python == "/opt/env/bin/python"
    model = found(**{"model.toml": "[environment]\npython = '/opt/python'\nrequirements = ['tinylib']\n"})
    assert wish(model).request.python == "/opt/python"


def test_a_project_without_dependencies_of_its_own_asks_for_nothing(found: Any) -> None:
    assert found(**{"pyproject.toml": "[tool.ruff]\nline-length = 100\n"}).wish is None


def test_a_model_archive_names_its_file(make_mar: Any, tmp_path: Path) -> None:
    import zipfile

    path = make_mar("m.mar", modelName="m", handler="service.py", requirementsFile="needs.txt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("needs.txt", "tinylib==1.0\n")
    (model,) = discover([str(path)], tmp_path / "artifacts").models
    assert wish(model).request == EnvironmentRequest(requirements=("numpy", "tinylib==1.0"), origin="needs.txt")


def test_versions_share_what_lies_in_their_model_s_folder(make_file: MakeFile, tmp_path: Path) -> None:
    for version in (1, 2):
        make_file(f"m/{version}/model.py", FUNCTION)
    make_file("m/model.toml", "")
    make_file("m/requirements.txt", "tinylib\n")
    make_file("m/2/requirements.txt", "tinylib<2\n")
    models = discover([str(tmp_path / "m")], tmp_path / "artifacts", has_all_versions=True).models
    assert [wish(model).request.requirements[1] for model in models] == ["tinylib", "tinylib<2"]


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"requirements.txt": "./six.whl\n"}, "requirements.txt, line 1"),
        ({"requirements.txt": "-r ../outside.txt\n"}, "not a file of the model's folder"),
        ({"requirements.txt": "-r nowhere.txt\n"}, "nowhere.txt cannot be read"),
        ({"conda.yaml": "dependencies: [cudatoolkit]\n"}, "only conda's channels have: cudatoolkit"),
        ({"conda.yaml": "a: [\n"}, "is not valid YAML"),
        ({"conda.yaml": "a: !!python/object/apply:os.system ['true']\n"}, "is not valid YAML"),
        ({"pyproject.toml": "x = [\n"}, "is not valid TOML"),
        ({"python_env.yaml": "dependencies: six\n"}, "no list of dependencies"),
        ({"python_env.yaml": "[]\n"}, "no list of dependencies"),
    ],
)
def test_what_was_meant_and_cannot_be_met_is_refused(found: Any, files: dict[str, str], told: str) -> None:
    with pytest.raises(LoadError, match=told) as caught:
        found(**files)
    assert caught.value.code is Code.ENVIRONMENT_BROKEN


def test_what_lies_beside_a_file_that_is_given_by_itself_is_used_when_it_can_be(make_file: MakeFile) -> None:
    path = make_file("m/model.py", FUNCTION)
    make_file("m/pyproject.toml", "[project]\ndependencies = ['tinylib']\n")
    (alone,) = discover([str(path)], path.parent / "artifacts").models
    assert alone.wish is None  # it may be the whole project's
    make_file("m/requirements.txt", "-e .\n")
    (noted,) = discover([str(path)], path.parent / "artifacts").models
    assert noted.wish is None
    assert "It is not used." in noted.notes[0]
    make_file("m/requirements.txt", "tinylib\n")
    (used,) = discover([str(path)], path.parent / "artifacts").models
    assert wish(used).request.requirements == ("numpy", "tinylib")


@pytest.mark.parametrize("name", ["../x.txt", "/etc/passwd"])
def test_a_manifest_names_files_of_its_own_folder(found: Any, name: str) -> None:
    with pytest.raises(LoadError, match=r"environment\.requirements"):
        found(**{"model.toml": f"[environment]\nrequirements = '{name}'\n"})
    with pytest.raises(LoadError, match="both requirements and a lock"):
        found(**{"model.toml": "[environment]\nrequirements = []\nlock = 'x'\n"})


# What artefacts tell


def inferred(fit: Fit) -> EnvironmentWish:
    return EnvironmentWish(request=EnvironmentRequest(requirements=("numpy",), is_inferred=True), fit=fit)


@pytest.mark.parametrize(
    ("infer", "built"),
    [("missing", {Fit.MISSING}), ("different", {Fit.MISSING, Fit.DIFFERENT}), ("never", set())],
)
def test_what_nobody_asked_for_is_built_as_the_setting_says(infer: Any, built: set[Fit]) -> None:
    settings = EnvironmentSettings(infer_environments=infer)
    assert {fit for fit in Fit if wanted_environment(inferred(fit), settings) is not None} == built


def test_a_pickle_tells_which_scikit_learn_saved_it(make_file: MakeFile, tmp_path: Path) -> None:
    head = b"\x80\x04\x95\x10\x00\x00\x00"
    path = make_file("m.pkl", head + b"\x8c\x10_sklearn_version\x94\x8c\x051.0.2\x94s.")
    (model,) = discover([str(path)], tmp_path / "artifacts").models
    assert wish(model).request.requirements == ("joblib", "numpy", "scikit-learn==1.0.*")
    assert wish(model).fit is Fit.DIFFERENT
    assert wish(model).request.is_inferred
    assert "it was saved with scikit-learn==1.0.*" in model.notes[0]
    assert spec(model).environment is None  # it may still load, and the note says what to do
    assert spec(model, infer_environments="different").environment is not None


def test_what_the_server_s_own_library_saved_fits(tmp_path: Path) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    for name, options in (("plain.joblib", {}), ("packed.joblib", {"compress": ("gzip", 3)})):
        joblib.dump(model, tmp_path / name, **options)
        (found,) = discover([str(tmp_path / name)], tmp_path / "artifacts").models
        assert wish(found).fit is Fit.FITS, name
        assert "==" in str(wish(found).request.requirements), name
        assert found.notes == ()
        assert spec(found).environment is None


@pytest.mark.parametrize("packing", ["zlib", "bz2", "xz"])
def test_a_compressed_pickle_is_looked_through_too(tmp_path: Path, packing: str) -> None:
    import joblib
    from sklearn.linear_model import LogisticRegression

    from salver.models.recorded import sklearn_series

    joblib.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.pkl", compress=(packing, 3))
    own = importlib.metadata.version("scikit-learn")
    assert sklearn_series(tmp_path / "m.pkl") == ".".join(own.split(".")[:2])


def test_a_skops_file_tells_it_too(tmp_path: Path) -> None:
    import skops.io
    from sklearn.linear_model import LogisticRegression

    from salver.models.recorded import sklearn_series

    skops.io.dump(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "m.skops")
    own = importlib.metadata.version("scikit-learn")
    assert sklearn_series(tmp_path / "m.skops") == ".".join(own.split(".")[:2])


def test_an_onnx_file_needs_a_runtime_that_knows_its_opset(make_file: MakeFile, onnx_model: bytes) -> None:
    from salver.models.recorded import onnxruntime_for, recorded_opset

    path = make_file("m.onnx", onnx_model)
    assert onnxruntime_for(recorded_opset(path)).startswith("onnxruntime")
    assert onnxruntime_for(17) == "onnxruntime>=1.12"
    assert onnxruntime_for(99) == "onnxruntime>=1.18"
    assert onnxruntime_for(None) == onnxruntime_for(9) == "onnxruntime"


@pytest.mark.parametrize("content", [b"", b"\x1f\x8b broken", b"PK\x03\x04 broken", b"BZh9 broken", b"\x80\x04."])
def test_what_cannot_be_read_tells_nothing(make_file: MakeFile, content: bytes) -> None:
    from salver.models.recorded import recorded_opset, recorded_requirement, sklearn_series

    path = make_file("m.pkl", content)
    assert sklearn_series(path) is None
    assert recorded_requirement("sklearn", path) is None
    assert recorded_requirement("mar", path) is None
    assert recorded_opset(path) is None


# Files by themselves


def test_a_file_of_requirements_is_a_request_by_itself(make_file: MakeFile) -> None:
    assert request_of_file(make_file("needs.txt", "six\n")) == EnvironmentRequest(
        requirements=("numpy", "six"), origin="needs.txt"
    )
    locked = request_of_file(make_file("x.lock", LOCK))
    assert locked is not None
    assert locked.lock
    assert request_of_file(make_file("model.py", FUNCTION)) is None


def test_nothing_of_an_archive_s_manifest_but_the_file_is_read_here(tmp_path: Path, make_file: MakeFile) -> None:
    make_file("m/MAR-INF/MANIFEST.json", json.dumps({"model": {"modelName": "m", "handler": "service.py"}}))
    make_file("m/service.py", "def handle(data, context):\n    return data\n")
    (model,) = discover([str(tmp_path / "m")], tmp_path / "artifacts").models
    assert model.wish is None
