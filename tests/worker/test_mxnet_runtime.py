"""Symbols of MXNet in a real worker, on the oldest Python and on the newest that MXNet has; answers are its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from framework_environments import framework_python, run_in
from salver_worker import frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
REQUIREMENTS = ("mxnet==1.9.1", "numpy<1.24")
MAKE = """
import json, sys
import numpy as np
import mxnet as mx
from mxnet.gluon import nn

folder, code = sys.argv[1:]
path = lambda name: folder + "/" + name
def module(symbol, name="m", epoch=0, data=("data",), shapes=((2, 4),)):
    labels = [each for each in symbol.list_arguments() if each.endswith("label")]
    net = mx.mod.Module(symbol, data_names=data, label_names=labels or None)
    net.bind(list(zip(data, shapes)), for_training=False)
    net.init_params(mx.init.Normal(1))
    net.save_checkpoint(path(name), epoch)
    return lambda *values: run(net, data, values)
def run(net, data, values):
    batch = mx.io.DataBatch([mx.nd.array(value) for value in values])
    net.forward(batch, is_train=False)
    return [output.asnumpy().tolist() for output in net.get_outputs()]
def gluon(net, *values):
    net.initialize(mx.init.Normal(1)); net.hybridize()
    answer = net(*[mx.nd.array(value) for value in values])
    net.export(path("m"), 0)
    return [answer.asnumpy().tolist()]
exec(code)
print(json.dumps(wanted))
"""
X = [[1.0, 2.0, 3.0, 4.0], [-1.0, 0.0, 1.0, 0.5]]


@pytest.fixture(params=["3.8", "3.11"])
def python(request: pytest.FixtureRequest) -> str:
    return framework_python(*REQUIREMENTS, series=request.param)


@pytest.fixture
def old_python() -> str:
    return framework_python(*REQUIREMENTS, series="3.8")


@pytest.fixture
def start(driver: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    with ExitStack() as stack:

        def run(python: str, path: str = "m-symbol.json", *, fails: bool = False, **changes: Any) -> Any:
            worker = stack.enter_context(driver.WorkerProcess(tmp_path, python=python))
            answer = worker.load("mxnet", tmp_path / path, **changes)
            assert answer.verb == (frames.FAILED if fails else frames.READY), (answer.header, worker.log)
            worker.told = answer.header
            worker.link = worker.attach()
            return worker

        yield run


def made(python: str, folder: Path, code: str) -> Any:
    return json.loads(run_in(python, MAKE, folder, code).splitlines()[-1])


def rows(worker: Any, side: str) -> list[tuple[str, str, list[int]]]:
    return [(row["name"], row["datatype"], row["shape"]) for row in worker.told["signatures"]["serving_default"][side]]


def test_a_checkpoint_of_module_answers_as_module_does(
    start: Callable[..., Any], driver: Any, tmp_path: Path, python: str
) -> None:
    symbol = 'mx.sym.SoftmaxOutput(mx.sym.FullyConnected(mx.sym.Variable("data"), num_hidden=3), name="softmax")'
    wanted = made(python, tmp_path, f"module({symbol}, epoch=2); ask = module({symbol}, epoch=12); wanted = ask({X})")
    worker = start(python)
    assert rows(worker, "inputs") == [("data", "FP32", [-1, 4])]  # and no label
    assert rows(worker, "outputs") == [("softmax_output", "FP32", [-1, 3])]
    assert worker.told["runtime_version"] == "mxnet 1.9.1"
    assert worker.told["details"]["parameters"] == "m-0012.params"
    assert worker.told["has_batch_dimension"] is True
    answer = worker.link.predict(driver.tensor("data", X, "FP32"))
    np.testing.assert_allclose(answer.arrays["softmax_output"], wanted[0], rtol=1e-6)
    for count in (1, 3, 2, 7, 5, 4, 6, 8, 9, 10, 1):  # more sizes than executors are kept
        answer = worker.link.predict(driver.tensor("data", [X[0]] * count, "FP32"))
        np.testing.assert_allclose(answer.arrays["softmax_output"], [wanted[0][0]] * count, rtol=1e-5)
    assert worker.log == ""


def test_an_exported_network_of_gluon_tells_its_channels(
    start: Callable[..., Any], driver: Any, tmp_path: Path, python: str
) -> None:
    code = (
        "net = nn.HybridSequential(); net.add(nn.Conv2D(4, 3, activation='relu'), nn.GlobalAvgPool2D(), nn.Dense(2)); "
        "x = np.arange(2 * 3 * 6 * 5).reshape(2, 3, 6, 5) / 100; wanted = gluon(net, x)"
    )
    wanted = made(python, tmp_path, code)
    worker = start(python)
    assert rows(worker, "inputs") == [("data", "FP32", [-1, 3, -1, -1])]
    assert rows(worker, "outputs")[0][1:] == ("FP32", [-1, 2])
    x = np.arange(2 * 3 * 6 * 5).reshape(2, 3, 6, 5) / 100
    (found,) = worker.link.predict(driver.tensor("data", x, "FP32")).arrays.values()
    np.testing.assert_allclose(found, wanted[0], rtol=1e-4)


def test_the_signature_of_mms_names_inputs_and_outputs(
    start: Callable[..., Any], driver: Any, tmp_path: Path, old_python: str
) -> None:
    code = (
        "a, b = mx.sym.Variable('a'), mx.sym.Variable('b'); "
        "ask = module(mx.sym.Group([a + b, mx.sym.sum(a * b, axis=1)]), data=('a', 'b'), shapes=((2, 2), (2, 2))); "
        "wanted = ask([[1, 2], [3, 4]], [[5, 6], [7, 8]])"
    )
    wanted = made(old_python, tmp_path, code)
    told = {"inputs": [{"data_name": name, "data_shape": [0, 2]} for name in "ab"], "outputs": []}
    told["outputs"] = [{"data_name": name, "data_shape": [0]} for name in ("total", "product")]
    (tmp_path / "m-signature.json").write_text(json.dumps(told))
    worker = start(old_python)
    assert rows(worker, "inputs") == [("a", "FP32", [-1, 2]), ("b", "FP32", [-1, 2])]
    assert rows(worker, "outputs") == [("total", "FP32", [-1, 2]), ("product", "FP32", [-1])]
    tensors = driver.tensor("a", [[1, 2], [3, 4]], "FP32"), driver.tensor("b", [[5, 6], [7, 8]], "FP32")
    answer = worker.link.predict(*tensors).arrays
    assert [answer["total"].tolist(), answer["product"].tolist()] == wanted


def test_outputs_that_nobody_reads_are_not_computed(
    start: Callable[..., Any], driver: Any, tmp_path: Path, old_python: str
) -> None:
    layer = "mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=2, name='one')"
    made(old_python, tmp_path, f"layer = {layer}; module(mx.sym.Group([layer, layer * 2])); wanted = 1")
    worker = start(old_python, outputs=[{"reads": "one_output", "name": "y", "convert": []}])
    assert rows(worker, "outputs") == [("y", "FP32", [-1, 2])]
    assert list(worker.link.predict(driver.tensor("data", X, "FP32")).arrays) == ["y"]


def test_a_graph_that_does_not_tell_its_shape_says_what_to_write(
    start: Callable[..., Any], tmp_path: Path, old_python: str
) -> None:
    code = "ask = module(mx.sym.sum(mx.sym.Variable('data'), axis=1)); wanted = 1"
    made(old_python, tmp_path, code)
    failed = start(old_python, fails=True).told
    assert failed["message"] == "the graph does not tell the shape of the input data"
    assert "NAME-signature.json" in failed["fix"]


def test_what_mixes_rows_is_not_batched(start: Callable[..., Any], tmp_path: Path, old_python: str) -> None:
    made(old_python, tmp_path, "module(mx.sym.sum(mx.sym.Variable('data'), axis=0)); wanted = 1")
    (tmp_path / "m-signature.json").write_text('{"inputs": [{"data_name": "data", "data_shape": [0, 4]}]}')
    worker = start(old_python)
    assert worker.told["has_batch_dimension"] is False
    assert rows(worker, "outputs")[0][2] == [4]


def test_shapes_that_do_not_fit_are_the_callers_mistake(
    start: Callable[..., Any], driver: Any, tmp_path: Path, old_python: str
) -> None:
    code = (
        "net = nn.HybridSequential(); net.add(nn.Conv2D(4, 3), nn.Flatten(), nn.Dense(2)); "
        "wanted = gluon(net, np.zeros((1, 3, 8, 8)))"
    )
    made(old_python, tmp_path, code)
    worker = start(old_python)
    good = driver.tensor("data", np.zeros((1, 3, 8, 8)), "FP32")
    assert worker.link.predict(good).verb == frames.RESULT
    answer = worker.link.predict(driver.tensor("data", np.zeros((1, 3, 9, 8)), "FP32"))
    assert (answer.verb, answer.header["code"]) == (frames.ERROR, "INVALID_INPUT")
    assert answer.header["message"] == "inputs of these shapes do not fit the model: data [1, 3, 9, 8]"
    assert worker.link.predict(good).verb == frames.RESULT


def test_it_runs_with_a_numpy_that_forgot_what_it_needs(
    start: Callable[..., Any], driver: Any, tmp_path: Path, old_python: str
) -> None:
    made(old_python, tmp_path, "module(mx.sym.FullyConnected(mx.sym.Variable('data'), num_hidden=2)); wanted = 1")
    worker = start(framework_python("mxnet==1.9.1", "numpy==1.26.4", series="3.11"))
    assert worker.link.predict(driver.tensor("data", X, "FP32")).verb == frames.RESULT
