"""An object of every framework: packed where it was made, proved in packages of its own, pushed, and asked.

It is packed by the client alone, as in a program without Salver; the command locks and proves it; one server gets all.
What the server answers is what the object answered.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from journey_server import Server, plain_environment, serving

from framework_environments import framework_python, run_in
from salver_client import Client, How

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]  # packages are fetched and installed
SOURCES = Path(__file__).resolve().parents[2] / "src"
BUILT_S = 600.0
LIBRARIES = (
    *("httpx", "joblib", "lightgbm", "scikit-learn", "statsmodels", "xgboost-cpu", "catboost", "onnx"),
    "spacy==3.8.18",
)
TENSORFLOW = ("httpx", "tensorflow-cpu")
TORCH = ("httpx", "torch==2.13.0", "transformers==5.23.0", "safetensors==0.8.0", "pillow==13.0.0")
MXNET = ("httpx", "mxnet==1.9.1", "numpy<1.24")
JAX = ("httpx", "jax[cpu]", "flatbuffers")
PACK = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numpy as np
import salver_client

x = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 3.0], [4.0, 1.0]] * 8, np.float32)
y = x[:, 0] * 2 + x[:, 1]
words = np.where(y > 3, "high", "low")
asked = x[:3]
{make}
made = salver_client.package(model, sys.argv[2], name="m", example=asked, lock=False)
plain = {{name: np.asarray(values).tolist() for name, values in answer.items()}}
asked = {{key: np.asarray(value).tolist() for key, value in asked.items()}} if isinstance(asked, dict) else asked
asked = asked if isinstance(asked, (dict, list)) else np.asarray(asked).tolist()
print(json.dumps({{"asked": asked, "answer": plain, "requirements": made.requirements, "notes": made.notes}}))
"""


class Object(NamedTuple):
    """`make` leaves a `model` and its `answer` to `asked`; `runtime` serves it."""

    make: str
    packages: tuple[str, ...]
    runtime: str
    needs: tuple[str, ...]
    """Names of packages that must be among the requirements."""


OBJECTS = {
    "xgboost": Object(
        "import xgboost\nmodel = xgboost.XGBClassifier(n_estimators=3).fit(x, y > 3)\n"
        "answer = {'label': model.predict(asked), 'probabilities': model.predict_proba(asked)}",
        LIBRARIES,
        "xgboost",
        ("xgboost-cpu",),
    ),
    "xgboost-missing": Object(
        "import xgboost\nmodel = xgboost.XGBRegressor(n_estimators=3, missing=0.0).fit(x, y)\n"
        "answer = {'prediction': model.predict(asked)}",
        LIBRARIES,
        "sklearn",
        ("xgboost-cpu", "scikit-learn", "joblib"),
    ),
    "lightgbm": Object(
        "import lightgbm\nmodel = lightgbm.LGBMRegressor(n_estimators=3, min_child_samples=1, verbose=-1).fit(x, y)\n"
        "answer = {'prediction': model.predict(asked)}",
        LIBRARIES,
        "lightgbm",
        ("lightgbm",),
    ),
    "lightgbm-words": Object(
        "import lightgbm\nmodel = lightgbm.LGBMClassifier(n_estimators=3, min_child_samples=1, verbose=-1)\n"
        "model.fit(x, words)\n"
        "answer = {'label': model.predict(asked), 'probabilities': model.predict_proba(asked)}",
        LIBRARIES,
        "sklearn",
        ("lightgbm", "scikit-learn", "joblib"),
    ),
    "catboost-words": Object(
        "import catboost\nmodel = catboost.CatBoostClassifier(iterations=3, verbose=False, allow_writing_files=False)\n"
        "model.fit(x, words)\n"
        "answer = {'label': model.predict(asked), 'probabilities': model.predict_proba(asked)}",
        LIBRARIES,
        "catboost",
        ("catboost",),
    ),
    "statsmodels": Object(
        "import pandas, statsmodels.formula.api as smf\n"
        "frame = pandas.DataFrame({'size': x[:, 0].astype(float), 'town': words, 'price': y + (words == 'low')})\n"
        "model = smf.ols('price ~ size + C(town)', frame).fit()\n"
        "asked = {'size': [0.5, 7.0], 'town': ['low', 'high']}\n"
        "answer = {'prediction': model.predict(pandas.DataFrame(asked))}",
        LIBRARIES,
        "statsmodels",
        ("statsmodels", "pandas"),
    ),
    "spacy": Object(
        "import spacy\nmodel = spacy.blank('en')\n"
        "model.add_pipe('entity_ruler').add_patterns([{'label': 'ORG', 'pattern': 'Acme'}])\n"
        "asked = ['a day at Acme']\n"
        "found = [[{'text': each.text, 'start': each.start_char, 'end': each.end_char, 'label': each.label_}\n"
        "          for each in model(text).ents] for text in asked]\n"
        "answer = {'entities': [json.dumps(each) for each in found]}",
        LIBRARIES,
        "spacy",
        ("spacy",),
    ),
    "sklearn-table": Object(
        "import pandas\nfrom sklearn.compose import make_column_transformer\n"
        "from sklearn.linear_model import LogisticRegression\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import OneHotEncoder\n"
        "frame = pandas.DataFrame({'size': x[:, 0].astype(float), 'town': words})\n"
        "columns = make_column_transformer((OneHotEncoder(), ['town']), remainder='passthrough')\n"
        "model = make_pipeline(columns, LogisticRegression()).fit(frame, y > 3)\n"
        "asked = {'size': [0.5, 7.0], 'town': ['low', 'high']}\n"
        "answer = {'label': model.predict(pandas.DataFrame(asked))}",
        LIBRARIES,
        "sklearn",
        ("scikit-learn", "joblib", "pandas"),
    ),
    "onnx": Object(
        "from onnx import TensorProto, helper\n"
        "infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ['N', 2]) for name in ('x', 'y')]\n"
        "graph = helper.make_graph([helper.make_node('Neg', ['x'], ['y'])], 'g', infos[:1], infos[1:])\n"
        "model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)\n"
        "answer = {'y': -asked}",
        LIBRARIES,
        "onnx",
        (),
    ),
    "keras": Object(
        "import keras\nmodel = keras.Sequential([keras.Input((2,), name='x'), keras.layers.Dense(3, name='out')])\n"
        "answer = {'out': model.predict(asked, verbose=0)}",
        TENSORFLOW,
        "keras",
        ("keras", "tensorflow-cpu"),
    ),
    "tensorflow": Object(
        "import tensorflow as tf\n"
        "class Scale(tf.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.weight = tf.Variable([2.0, 3.0])\n"
        "    def __call__(self, x):\n"
        "        return {'y': x * self.weight}\n"
        "model = Scale()\nanswer = {'y': model(asked)['y'].numpy()}",
        TENSORFLOW,
        "tensorflow",
        ("tensorflow-cpu",),
    ),
    "tensorflow-functions": Object(
        "import tensorflow as tf\n"
        "rows = tf.TensorSpec([None, 2], tf.float32, name='x')\n"
        "class Scale(tf.Module):\n"
        "    @tf.function(input_signature=[rows])\n"
        "    def __call__(self, x):\n"
        "        return {'y': x * 2}\n"
        "    @tf.function(input_signature=[rows])\n"
        "    def more(self, x):\n"
        "        return {'y': x * 3}\n"
        "model = Scale()\nanswer = {'y': model(asked)['y'].numpy()}",
        TENSORFLOW,
        "tensorflow",
        ("tensorflow-cpu",),
    ),
    "mxnet": Object(
        "import mxnet as mx\nmodel = mx.gluon.nn.HybridSequential()\nmodel.add(mx.gluon.nn.Dense(3))\n"
        "model.initialize()\nmodel.hybridize()\nfound = model(mx.nd.array(asked)).asnumpy()\n"
        "answer = {'dense0_fwd_output': found}",
        MXNET,
        "mxnet",
        ("mxnet",),
    ),
    "torch": Object(
        "import torch\nmodel = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Dropout(0.5), torch.nn.ReLU())\n"
        "asked = asked.astype(float)\n"
        "answer = {'output': model.eval()(torch.tensor(asked).float()).detach()}",
        TORCH,
        "torch",
        ("torch",),
    ),
    "torchscript": Object(
        "import torch\n"
        "class Twice(torch.nn.Module):\n"
        "    def forward(self, points):\n"
        "        return points * 2\n"
        "model = torch.jit.trace(Twice(), torch.ones(2, 2))\nanswer = {'output': asked * 2}",
        TORCH,
        "torch",
        ("torch",),
    ),
    "transformers": Object(
        "import torch\nfrom tokenizers import Tokenizer, models, pre_tokenizers\n"
        "from transformers import BertConfig, BertModel, PreTrainedTokenizerFast, pipeline\n"
        "names = ['[PAD]', '[UNK]', 'the', 'cat']\n"
        "inner = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token='[UNK]'))\n"
        "inner.pre_tokenizer = pre_tokenizers.Whitespace()\n"
        "tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, unk_token='[UNK]', pad_token='[PAD]')\n"
        "config = BertConfig(vocab_size=4, hidden_size=8, num_hidden_layers=1, num_attention_heads=2,\n"
        "                    intermediate_size=8, max_position_embeddings=16)\n"
        "from transformers import BertForSequenceClassification\n"
        "classifier = BertForSequenceClassification(config).eval()\n"
        "model = pipeline('text-classification', model=classifier, tokenizer=tokenizer)\n"
        "asked = {'text': ['the cat', 'cat']}\n"
        "answer = {'label': [each['label'] for each in model(asked['text'])]}",
        TORCH,
        "transformers",
        ("transformers", "torch"),
    ),
    "jax": Object(
        "import jax\nmodel = jax.jit(lambda x: {'y': jax.nn.relu(x - 1)})\nanswer = {'y': model(asked)['y']}",
        JAX,
        "jax",
        ("jax",),
    ),
    "jax-exported": Object(
        "import jax\nfrom jax import export\n(rows,) = export.symbolic_shape('n')\n"
        "function = jax.jit(lambda *, x: {'y': x * 3})\n"
        "model = export.export(function)(x=jax.ShapeDtypeStruct((rows, 2), 'float32'))\nanswer = {'y': asked * 3}",
        JAX,
        "jax",
        ("jax",),
    ),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with serving(folder=folder, wait="announced", environments_dir=folder / "environments") as running:
        yield running


def pack(made: Object, package: Path) -> dict[str, Any]:
    """The object in a package that is not locked, and what it answered."""
    told = run_in(framework_python(*made.packages), PACK.format(make=made.make), SOURCES, package)
    document: dict[str, Any] = json.loads(told.splitlines()[-1])
    return document


def prove(package: Path, asked: Any, folder: Path, environments: Path) -> dict[str, Any]:
    """The same package, locked and proved by the command, as the client does where the command is installed."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "salver", "package", str(package)),
            *("--example", json.dumps(asked), "-o", str(folder), "--json"),
        ],
        env={
            **plain_environment("no server"),
            "SALVER_DATA_DIR": str(folder / "shell"),
            "SALVER_ENVIRONMENTS_DIR": str(environments),
        },
        capture_output=True,
        text=True,
        timeout=BUILT_S,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("kind", OBJECTS)
def test_what_the_server_answers_is_what_the_object_answered(served: Server, kind: str, tmp_path: Path) -> None:
    made = OBJECTS[kind]
    told = pack(made, tmp_path / "m.salver")
    assert set(made.needs) <= {each.partition("==")[0] for each in told["requirements"]}
    assert not [note for note in told["notes"] if "no package here" in note]
    (tmp_path / "proved").mkdir()
    proved = prove(tmp_path / "m.salver", told["asked"], tmp_path / "proved", served.data.parent / "environments")
    assert proved["has_answer"]
    assert proved["record"]["runtime"] == made.runtime
    assert proved["packages"] > 0
    name = f"{kind}-packed"
    key = served.admin["Authorization"].split()[1]
    with Client(served.url, key) as client:
        outcome = client.push(proved["path"], model=name, how=How(wait_s=BUILT_S))
        assert (outcome.digest, outcome.failures) == (proved["digest"], ())
        outputs = client.predict(name, told["asked"]).outputs
    assert set(told["answer"]) <= set(outputs)
    for output, expected in told["answer"].items():
        if np.asarray(expected).dtype.kind in "fc":
            np.testing.assert_allclose(outputs[output], expected, rtol=1e-5, atol=1e-6)
        else:
            assert list(outputs[output]) == expected
