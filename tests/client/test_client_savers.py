"""Each framework's own saver, in an environment that has the framework: what is written opens and answers the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from framework_environments import framework_python, run_in
from salver.models.packagefile import unpack_package

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # frameworks are fetched
SOURCES = Path(__file__).resolve().parents[2] / "src"
PACK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import salver_client

x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [4.0, 1.0]] * 8)
y = x[:, 0] * 2 + x[:, 1]
example = None
{make}
made = salver_client.package(model, sys.argv[2], name="m", lock=False, example={example})
print(json.dumps({{"requirements": made.requirements, "before": np.asarray({answer}).ravel()[:4].tolist()}}))
"""
OPEN = """
import json, sys
import numpy as np

x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [4.0, 1.0]] * 8)
path = sys.argv[1]
{open}
print(json.dumps(np.asarray({answer}).ravel()[:4].tolist()))
"""


def there_and_back(python: str, folder: Path, make: str, answer: str, opens: str, again: str, **more: str) -> Any:
    """The package's requirements and the name of its artefact; what is opened again must answer as before."""
    package = folder / "m.salver"
    packed = run_in(
        python, PACK.format(make=make, answer=answer, example=more.get("example", "None")), SOURCES, package
    )
    told = json.loads(packed.splitlines()[-1])
    unpacked, _ = unpack_package(package, folder / "cache")
    (artefact,) = (path for path in unpacked.iterdir() if path.name.startswith("model.") and path.suffix != ".toml")
    after = json.loads(run_in(python, OPEN.format(open=opens, answer=again), artefact).splitlines()[-1])
    assert after == pytest.approx(told["before"], rel=1e-5)
    return sorted(name.partition("==")[0] for name in told["requirements"]), artefact.name


@pytest.fixture(scope="module")
def boosters() -> str:
    return framework_python("httpx", "joblib", "lightgbm", "scikit-learn", "statsmodels", "xgboost-cpu")


@pytest.mark.parametrize("kind", ["xgboost.XGBRegressor(n_estimators=3)", "train"])
def test_xgboost(boosters: str, tmp_path: Path, kind: str) -> None:
    trained = "xgboost.train({'max_depth': 2}, xgboost.DMatrix(x, y), 3)"
    make = f"import xgboost\nmodel = {trained if kind == 'train' else kind + '.fit(x, y)'}"
    answer = "model.predict(xgboost.DMatrix(x))" if kind == "train" else "model.predict(x)"
    opens = "import xgboost\nmodel = xgboost.Booster(model_file=path)"
    found = there_and_back(boosters, tmp_path, make, answer, opens, "model.predict(xgboost.DMatrix(x))")
    assert found == (["xgboost-cpu"], "model.ubj")


def test_lightgbm(boosters: str, tmp_path: Path) -> None:
    make = "import lightgbm\nmodel = lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=1, verbose=-1).fit(x, y)"
    opens = "import lightgbm\nmodel = lightgbm.Booster(model_file=path)"
    found = there_and_back(boosters, tmp_path, make, "model.predict(x)", opens, "model.predict(x)")
    assert found == (["lightgbm"], "model.txt")


def test_statsmodels(boosters: str, tmp_path: Path) -> None:
    make = "import statsmodels.api as sm\nmodel = sm.OLS(y, x).fit()"
    opens = "import pickle\nmodel = pickle.load(open(path, 'rb'))"
    requirements, artefact = there_and_back(boosters, tmp_path, make, "model.predict(x)", opens, "model.predict(x)")
    assert artefact == "model.pickle"
    assert {"numpy", "statsmodels"} <= set(requirements)


def test_a_pipeline_of_scikit_learn_names_what_it_holds(boosters: str, tmp_path: Path) -> None:
    make = (
        "import xgboost\nfrom sklearn.pipeline import make_pipeline\nfrom sklearn.preprocessing import StandardScaler\n"
        "model = make_pipeline(StandardScaler(), xgboost.XGBRegressor(n_estimators=3)).fit(x, y)"
    )
    opens = "import joblib\nmodel = joblib.load(path)"
    requirements, artefact = there_and_back(boosters, tmp_path, make, "model.predict(x)", opens, "model.predict(x)")
    assert artefact == "model.joblib"
    assert {"joblib", "numpy", "scikit-learn", "xgboost-cpu"} <= set(requirements)
    assert not {"lightgbm", "statsmodels"} & set(requirements)


TORCH = "import torch\nmodel = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5), torch.nn.ReLU())"
INPUT = "torch.tensor(x, dtype=torch.float32)"


@pytest.fixture(scope="module")
def torch() -> str:
    return framework_python("httpx", "torch==2.13.0")


def test_a_module_of_pytorch_is_exported_for_any_number_of_rows(torch: str, tmp_path: Path) -> None:
    opens = "import torch\nmodel = torch.export.load(path).module()"
    answer = f"model.eval()({INPUT}).detach().numpy()"
    again = f"model({INPUT}[:7]).detach().numpy()"  # other than the example has
    found = there_and_back(torch, tmp_path, TORCH, answer, opens, again, example="x[:3]")
    assert found == (["torch"], "model.pt2")


def test_a_scripted_module_is_kept_as_it_is(torch: str, tmp_path: Path) -> None:
    make = f"{TORCH}\nmodel = torch.jit.script(model.eval())"
    opens = "import torch\nmodel = torch.jit.load(path)"
    answer = f"model({INPUT}).detach().numpy()"
    assert there_and_back(torch, tmp_path, make, answer, opens, answer) == (["torch"], "model.pt")


@pytest.mark.parametrize(("example", "reason"), [("None", "there is no example"), ("x[:1]", "has one row")])
def test_what_an_export_needs_is_told(torch: str, tmp_path: Path, example: str, reason: str) -> None:
    make = f"{TORCH}\nimport salver_client as c\ntry:\n    c.package(model, lock=False, example={example})\n"
    make += "except c.SalverClientError as error:\n    print(error)\n    sys.exit()"
    told = run_in(torch, PACK.format(make=make, answer="0", example="None"), SOURCES, tmp_path / "m.salver")
    assert reason in told
