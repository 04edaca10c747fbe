"""Functions of JAX, opened where JAX is: names, symbolic dimensions, datatypes, and batches filled up and cut off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from runtime_process import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
CODE = """
from salver_worker.runtimes import jax as runtime
runtime._limit(1)
import jax
from jax import export, numpy as jnp

folder = Path(sys.argv[1])
S = jax.ShapeDtypeStruct
n, m = export.symbolic_shape("n, m")

def save(name, function, *arguments, platforms=None, **keywords):
    exported = export.export(jax.jit(function), platforms=platforms)(*arguments, **keywords)
    (folder / name).write_bytes(exported.serialize())
    return folder / name

def opened(path):
    model = runtime.load(request(path))
    return model

def told(path):
    model = opened(path)
    names = [[row["name"] for row in model.signature[side]] for side in ("inputs", "outputs")]
    return [*names, model.has_batch_dimension]

row = S((n, 2), jnp.float32)
traced = []

def double(x):
    traced.append(x.shape)
    return x * 2.0 + jnp.arange(2)

path = save("double.jax", double, row)
model = opened(path)
out["signature"] = [model.signature, model.has_batch_dimension, model.runtime_version == "jax " + jax.__version__]
out["details"] = model.details
answers = []
for rows in (1, 2, 3, 5, 8, 13):
    x = np.arange(rows * 2, dtype=np.float32).reshape(rows, 2)
    x.setflags(write=False)
    expected = np.asarray(jax.jit(double)(x))
    answers.append(bool((model.predict({"x0": x}, {})["y0"] == expected).all()))
out["same"] = answers
out["compiled"] = model._function._cache_size()

out["names"] = {
    "places": told(save("a", lambda a, b: (a, b + 1.0), row, row)),
    "dictionary": told(save("b", lambda d: {"sum": d["p"] + d["q"], "p": d["p"]}, {"p": row, "q": row})),
    "keywords": told(save("c", lambda *, left, right: left + right, left=row, right=row)),
    "deeper": told(save("d", lambda a, *, k: [{"z": a["u"][0]}, k], {"u": [row]}, k=row)),
    "nothing": told(save("e", lambda: jnp.ones(3))),
}
out["rows"] = {
    "two lengths": told(save("f", lambda a, b: (a, b), row, S((m, 2), jnp.float32)))[2],
    "fixed": told(save("g", lambda a: a, S((4, 2), jnp.float32)))[2],
    "sum": told(save("h", lambda a: a.sum(), row))[2],
    "twice": told(save("i", lambda a: jnp.concatenate([a, a]), row))[2],
}
free = opened(save("free.jax", lambda a: a.sum(1), S((n, m), jnp.float32)))
out["free"] = [free.signature["inputs"], free.predict({"x0": np.ones((3, 5), np.float32)}, {})["y0"].tolist()]

kinds = ["bool", "int8", "int16", "int32", "uint8", "uint16", "uint32", "float16", "bfloat16", "float32"]
same = opened(save("kinds", lambda *values: values, *[S((n,), jnp.dtype(kind)) for kind in kinds]))
given = {}
for place, kind in enumerate(kinds):
    given["x%d" % place] = np.array([0, 1, 1]).astype("float32" if kind == "bfloat16" else kind)
answer = same.predict(given, {})
out["kinds"] = [each["datatype"] for each in same.signature["inputs"]]
out["unlike"] = [kind for place, kind in enumerate(kinds)
                 if answer["y%d" % place].dtype != given["x%d" % place].dtype
                 or answer["y%d" % place].tolist() != given["x%d" % place].tolist()]

far = save("far", lambda a: a, row, platforms=["tpu"])
out["far"] = refusal(runtime.load, far)
out["any"] = told(save("any", lambda a: a, row, platforms=["tpu", "cpu"]))[2]
out["key"] = refusal(runtime.load, save("key", lambda k: jax.random.uniform(k), S((), jax.random.key(0).dtype)))
(folder / "cut").write_bytes(path.read_bytes()[:700])
out["cut"] = refusal(runtime.load, folder / "cut")

jax.config.update("jax_enable_x64", True)
wide = save("wide", lambda a: a + 1, S((n,), jnp.int64))
jax.config.update("jax_enable_x64", False)
answer = opened(wide).predict({"x0": np.array([2**40])}, {})["y0"]
out["wide"] = [answer.tolist(), str(answer.dtype)]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder: Path = tmp_path_factory.mktemp("jax")
    return told_by(framework_python("jax[cpu]", "flatbuffers"), CODE, folder)


def test_a_symbolic_first_dimension_counts_rows(told) -> None:
    (signature, has_rows, knows_version) = told["signature"]
    assert signature["inputs"] == [{"name": "x0", "datatype": "FP32", "shape": [-1, 2]}]
    assert signature["outputs"] == [{"name": "y0", "datatype": "FP32", "shape": [-1, 2]}]
    assert (has_rows, knows_version) == (True, True)
    assert told["details"]["exported_for"] == "cpu"
    assert told["details"]["device"] == "cpu 0"


def test_it_answers_what_the_function_answers_and_compiles_for_powers_of_two(told) -> None:
    assert told["same"] == [True] * 6
    assert told["compiled"] <= 5  # 1, 2, 4, 8, 16 rows


def test_arguments_and_results_have_names(told) -> None:
    assert told["names"] == {
        "places": [["x0", "x1"], ["y0", "y1"], True],
        "dictionary": [["p", "q"], ["p", "sum"], True],
        "keywords": [["left", "right"], ["y0"], True],
        "deeper": [["x0.u.0", "k"], ["y0.z", "y1"], True],
        "nothing": [[], ["y0"], False],
    }


def test_rows_are_counted_only_where_all_tensors_have_the_same(told) -> None:
    assert told["rows"] == {"two lengths": False, "fixed": False, "sum": False, "twice": False}


def test_other_dimensions_may_be_free_too(told) -> None:
    assert told["free"] == [[{"name": "x0", "datatype": "FP32", "shape": [-1, -1]}], [5.0, 5.0, 5.0]]


def test_every_datatype_keeps_its_values(told) -> None:
    assert told["kinds"] == ["BOOL", "INT8", "INT16", "INT32", "UINT8", "UINT16", "UINT32", "FP16", "BF16", "FP32"]
    assert told["unlike"] == []


def test_64_bits_stay_64_bits(told) -> None:
    assert told["wide"] == [[2**40 + 1], "int64"]


def test_a_platform_that_is_not_here_is_told_with_what_helps(told) -> None:
    assert told["far"][0] == "the function was exported for tpu, and here is cpu"
    assert 'platforms=["cpu", "cuda"]' in told["far"][1]
    assert told["any"] is True


def test_what_does_not_travel_and_what_is_cut_short_are_refused(told) -> None:
    assert told["key"][0].startswith("x0 is of the type key<")
    assert "cannot read the file" in told["cut"][0]
