"""Models and functions of R in a real worker; answers are those of `predict` called in R itself."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.r import run_r

from salver_worker import frames

DATA = """
set.seed(7)
d <- data.frame(x = rnorm(60), g = factor(sample(c("a", "b", "\\u00e7"), 60, TRUE)))
d$ok <- sample(c(TRUE, FALSE), 60, TRUE)
d$y <- 2 * d$x + as.integer(d$g) + rnorm(60) / 10
d$c <- factor(ifelse(d$y + rnorm(60) > 2, "hi", "lo"))
new <- data.frame(x = c(-1, 0.5, 2), g = factor(c("a", "\\u00e7", "b"), levels(d$g)), ok = c(TRUE, FALSE, TRUE))
path <- commandArgs(TRUE)[1]
"""
X, G, OK = [-1, 0.5, 2], ["a", "ç", "b"], [True, False, True]
TELL = "cat(jsonify(%s))"
JSONIFY = """
text <- function(v) if (is.character(v) || is.factor(v)) paste0('"', v, '"') else sprintf("%.17g", v)
jsonify <- function(v) {
  rows <- if (is.matrix(v)) apply(v, 1, function(r) paste0("[", paste(text(r), collapse = ","), "]")) else text(v)
  paste0("[", paste(rows, collapse = ","), "]")
}
"""
Serve = Callable[..., Any]


def made(path: Path, code: str, tell: str) -> Any:
    """Runs R code that saves a model at `path`; what an expression of it is, as R says."""
    return json.loads(run_r(f"{DATA}{JSONIFY}{code}\n{TELL % tell}", path))


@pytest.fixture
def start(driver: Any, tmp_path: Path) -> Iterator[Serve]:
    """A worker with READY's header as `ready`; with `fails`, the header of FAILED."""
    with ExitStack() as stack:

        def run(path: Path, *, fails: bool = False, variables: dict[str, str] | None = None, **changes: Any) -> Any:
            home = tmp_path / "worker"
            home.mkdir(exist_ok=True)
            worker = stack.enter_context(driver.WorkerProcess(home, variables=variables))
            answer = worker.load("r", path, **changes)
            assert answer.verb == (frames.FAILED if fails else frames.READY), (answer.header, worker.log)
            if fails:
                return answer.header
            worker.ready = answer.header
            worker.signature = answer.header["signatures"]["serving_default"]
            worker.link = worker.attach()
            return worker

        yield run


def rows(signature: Any, side: str) -> list[tuple[str, str, list[int]]]:
    return [(row["name"], row["datatype"], row["shape"]) for row in signature[side]]


def ask(worker: Any, driver: Any, *columns: str) -> Any:
    known = {"x": (X, "FP64"), "g": (G, "BYTES"), "ok": (OK, "BOOL")}
    answer = worker.link.predict(*(driver.tensor(name, *known[name]) for name in columns))
    assert answer.verb == frames.RESULT, answer.header
    return answer.arrays


def texts(array: Any) -> list[str]:
    return [each.decode() for each in array.ravel().tolist()]


def test_columns_have_the_types_that_the_formula_had(start: Serve, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.rds"
    wanted = made(path, "m <- lm(y ~ x * g + ok, d); saveRDS(m, path)", "predict(m, new)")
    worker = start(path)
    assert rows(worker.signature, "inputs") == [("x", "FP64", [-1]), ("g", "BYTES", [-1]), ("ok", "BOOL", [-1])]
    assert rows(worker.signature, "outputs") == [("prediction", "FP64", [-1])]
    assert worker.ready["details"]["levels of g"] == "a, b, ç"
    assert worker.ready["runtime_version"].startswith("R ")
    np.testing.assert_array_equal(ask(worker, driver, "x", "g", "ok")["prediction"], wanted)


@pytest.mark.parametrize("compress", ["TRUE", "FALSE", '"bzip2"', '"xz"'])
def test_every_compression_is_opened(start: Serve, driver: Any, tmp_path: Path, compress: str) -> None:
    path = tmp_path / "any name"
    code = f"m <- glm(c ~ x + g, binomial, d); saveRDS(m, path, compress = {compress})"
    wanted = made(path, code, 'predict(m, new, type = "response")')
    np.testing.assert_array_equal(ask(start(path), driver, "x", "g")["prediction"], wanted)


@pytest.mark.parametrize(
    ("code", "label", "probabilities"),
    [
        ("randomForest::randomForest(c ~ x + g, d, ntree = 30)", "predict(m, new)", 'predict(m, new, type = "prob")'),
        ("randomForest::randomForest(d[c('x', 'g')], d$c, ntree = 9)", "predict(m, new)", 'predict(m, new, "prob")'),
        ("rpart::rpart(c ~ x + g, d)", 'predict(m, new, type = "class")', 'predict(m, new, type = "prob")'),
        (
            "nnet::nnet(c ~ x + g, d, size = 2, trace = FALSE)",
            'predict(m, new, type = "class")',
            '(function(p) cbind(1 - p, p))(predict(m, new, type = "raw"))',
        ),
        (
            "nnet::multinom(g ~ x + ok, d, trace = FALSE)",
            'predict(m, new, type = "class")',
            'predict(m, new, type = "probs")',
        ),
    ],
    ids=["forest", "forest of columns", "tree", "net", "multinomial"],
)
def test_classifiers_answer_labels_and_probabilities(
    start: Serve, driver: Any, tmp_path: Path, code: str, label: str, probabilities: str
) -> None:
    path = tmp_path / "m.rds"
    setup = "library(randomForest); library(rpart); library(nnet);"
    wanted = made(path, f"{setup} m <- {code}; saveRDS(m, path)", label)
    chances = made(path, f"{setup} set.seed(1); m <- readRDS(path)", f"unname({probabilities})")
    worker = start(path)
    found = ask(worker, driver, *(row["name"] for row in worker.signature["inputs"]))
    assert texts(found["label"]) == wanted
    np.testing.assert_allclose(found["probabilities"], chances, rtol=1e-14)
    assert [row["name"] for row in worker.signature["outputs"]] == ["label", "probabilities"]
    one = worker.link.predict(
        *(
            driver.tensor(row["name"], {"x": X, "g": G, "ok": OK}[row["name"]][:1], row["datatype"])
            for row in worker.signature["inputs"]
        )
    )
    np.testing.assert_allclose(one.arrays["probabilities"], chances[:1], rtol=1e-14)


def test_a_transformed_variable_is_asked_for_as_it_was(start: Serve, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.RData"
    code = "model <- lm(y ~ log(x^2) + factor(ok), d); other <- 3; save(model, other, file = path)"
    wanted = made(path, code, "predict(model, new)")
    worker = start(path)
    assert rows(worker.signature, "inputs") == [("x", "FP64", [-1]), ("ok", "BOOL", [-1])]
    np.testing.assert_array_equal(ask(worker, driver, "x", "ok")["prediction"], wanted)


def test_a_matrix_without_names_is_one_input(start: Serve, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.rds"
    code = "m <- prcomp(unname(cbind(d$x, d$y, d$x^2))); saveRDS(m, path)"
    wanted = made(path, code, "predict(m, matrix(1:6, 2))")
    worker = start(path)
    assert rows(worker.signature, "inputs") == [("x", "FP64", [-1, 3])]
    answer = worker.link.predict(driver.tensor("x", [[1, 3, 5], [2, 4, 6]], "FP64"))
    np.testing.assert_allclose(answer.arrays["prediction"], wanted)


def test_nan_is_na_in_both_directions(start: Serve, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.rds"
    made(path, "saveRDS(lm(y ~ x, d), path)", "1")
    answer = start(path).link.predict(driver.tensor("x", [np.nan, 1], "FP64"))
    assert np.isnan(answer.arrays["prediction"]).tolist() == [True, False]


@pytest.mark.parametrize(
    ("value", "message"),
    [("z", "the input g has 'z' in row 1, and the model knows a, b, ç"), (b"\xff", "has '�' in row 1")],
)
def test_an_unknown_level_is_the_callers_mistake(
    start: Serve, driver: Any, tmp_path: Path, value: Any, message: str
) -> None:
    path = tmp_path / "m.rds"
    made(path, "saveRDS(lm(y ~ x + g, d), path)", "1")
    link = start(path).link
    answer = link.predict(driver.tensor("x", [1, 2], "FP64"), driver.tensor("g", ["a", value], "BYTES"))
    assert (answer.verb, answer.header["code"]) == (frames.ERROR, "INVALID_INPUT")
    assert message in answer.header["message"]


CODE = """
load_model <- function(folder) readRDS(file.path(folder, "weights.rds"))
inputs <- data.frame(age = numeric(), city = factor(levels = c("Oslo", "Rome")), note = character())
outputs <- list(score = numeric(), note = character(), is_old = logical())
predict <- function(model, people, scale = 1) {
  if (any(people$age < 0)) stop(errorCondition("age must not be negative", class = "InputError", call = NULL))
  if (any(people$age > 200)) stop("too old for me")
  score <- people$age * model[as.integer(people$city)] * scale
  list(score = score, note = toupper(people$note), is_old = people$age > 60)
}
"""


@pytest.fixture
def people(start: Serve, tmp_path: Path) -> Any:
    (tmp_path / "predict.R").write_text(CODE)
    run_r("saveRDS(c(1, 10), commandArgs(TRUE)[1])", tmp_path / "weights.rds")
    return start(tmp_path)


def ask_people(worker: Any, driver: Any, ages: list[float], **options: Any) -> Any:
    columns = (
        driver.tensor("age", ages, "FP64"),
        driver.tensor("city", ["Rome"] * len(ages), "BYTES"),
        driver.tensor("note", ["é"] * len(ages), "BYTES"),
    )
    return worker.link.predict(*columns, **options)


def test_code_says_its_inputs_and_outputs_by_prototypes(people: Any, driver: Any) -> None:
    assert rows(people.signature, "inputs") == [("age", "FP64", [-1]), ("city", "BYTES", [-1]), ("note", "BYTES", [-1])]
    assert rows(people.signature, "outputs") == [
        ("score", "FP64", [-1]),
        ("note", "BYTES", [-1]),
        ("is_old", "BOOL", [-1]),
    ]
    found = ask_people(people, driver, [10, 70]).arrays
    assert found["score"].tolist() == [100, 700]
    assert texts(found["note"]) == ["É", "É"]
    assert found["is_old"].tolist() == [False, True]


def test_arguments_with_defaults_are_parameters_of_a_request(people: Any, driver: Any) -> None:
    assert ask_people(people, driver, [10], scale=0.5, unknown=1).arrays["score"].tolist() == [50]


def test_a_condition_is_told_to_whom_it_concerns(people: Any, driver: Any) -> None:
    refused = ask_people(people, driver, [-1]).header
    assert (refused["code"], refused["message"]) == ("INVALID_INPUT", "age must not be negative")
    failed = ask_people(people, driver, [300]).header
    assert (failed["code"], failed["message"]) == ("MODEL_ERROR", "the model failed to predict")
    assert "too old for me" in failed["detail"]
    assert ask_people(people, driver, [1]).verb == frames.RESULT


def test_text_that_is_none_is_refused(people: Any, driver: Any) -> None:
    columns = (
        driver.tensor("age", [1], "FP64"),
        driver.tensor("city", ["Rome"], "BYTES"),
        driver.tensor("note", [b"a\0b"], "BYTES"),
    )
    answer = people.link.predict(*columns)
    assert answer.header["message"] == "the input note holds bytes in row 0 that are not UTF-8 text"


def test_a_saved_function_takes_its_arguments(start: Serve, driver: Any, tmp_path: Path) -> None:
    run_r("saveRDS(function(a, b, k = 2L) a + k * b, commandArgs(TRUE)[1])", tmp_path / "f.rds")
    worker = start(tmp_path / "f.rds")
    assert rows(worker.signature, "inputs") == [("a", "FP64", [-1]), ("b", "FP64", [-1])]
    assert worker.signature["outputs"] == []
    answer = worker.link.predict(driver.tensor("a", [1, 2], "FP64"), driver.tensor("b", [3, 4], "FP64"), k=10)
    assert answer.arrays["prediction"].tolist() == [31, 42]


def test_an_example_shows_the_outputs_of_a_function(start: Serve, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text("predict <- function(a) list(double = 2 * a)")
    worker = start(tmp_path, example={"inputs": {"a": [1.5]}, "expect": {"double": [3.0]}, "tolerance": 0.01})
    assert rows(worker.signature, "outputs") == [("double", "FP64", [-1])]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ("list(p = list(1))", "the output p is a list"),
        ("c('a', NA)", "the output prediction has NA, which only numbers can tell"),
        ("quote(x)", "the output prediction is a name"),
    ],
)
def test_an_answer_that_does_not_travel_is_told(
    start: Serve, driver: Any, tmp_path: Path, answer: str, message: str
) -> None:
    (tmp_path / "predict.R").write_text(f"predict <- function(a) {answer}")
    failed = start(tmp_path).link.predict(driver.tensor("a", [1, 2], "FP64")).header
    assert failed["code"] == "MODEL_ERROR"
    assert message in failed["detail"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("predict <- function(", "R stopped: "),
        ("other <- 1", "predict.R defines no function predict"),
        ("inputs <- list(b = 1); predict <- function(a) a", "predict takes a and `inputs` names b"),
        ("load_model <- function() stop('no weights'); predict <- function(m, a) a", "no weights"),
        ("inputs <- data.frame(b = 1); predict <- function(a, c) a", "must take it as its only argument"),
    ],
)
def test_code_that_cannot_be_served_says_why(start: Serve, tmp_path: Path, code: str, message: str) -> None:
    (tmp_path / "predict.R").write_text(code)
    failed = start(tmp_path, fails=True)
    assert failed["code"] == "LOAD_FAILED"
    assert message in failed["message"]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("saveRDS(list(1), path)", "the file holds a list, which has no method for predict"),
        ("a <- 1; b <- 2; save(a, b, file = path)", "the file holds several objects (a, b) and none called model"),
    ],
)
def test_a_file_without_a_model_says_so(start: Serve, tmp_path: Path, code: str, message: str) -> None:
    run_r(f"path <- commandArgs(TRUE)[1]; {code}", tmp_path / "m")
    assert message in start(tmp_path / "m", fails=True)["message"]


def test_a_missing_package_is_named_with_what_mends_it(start: Serve, tmp_path: Path) -> None:
    run_r("saveRDS(structure(list(), class = 'earth'), commandArgs(TRUE)[1])", tmp_path / "m.rds")
    failed = start(tmp_path / "m.rds", fails=True)
    assert failed["code"] == "ENVIRONMENT_BROKEN"
    assert failed["message"] == "the model is of the class earth, and R has no package earth"
    assert "apt install r-cran-earth" in failed["fix"]


def test_a_machine_without_r_says_so(start: Serve, tmp_path: Path) -> None:
    (tmp_path / "m.R").write_text("predict <- function(x) x")
    failed = start(tmp_path / "m.R", fails=True, variables={"SALVER_RSCRIPT": "no-such-rscript"})
    assert (failed["code"], failed["message"]) == (
        "ENVIRONMENT_BROKEN",
        "there is no no-such-rscript to run the model with",
    )


def test_outputs_that_nobody_reads_are_not_computed(start: Serve, driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.rds"
    made(path, "library(rpart); saveRDS(rpart(c ~ x + g, d), path)", "1")
    worker = start(path, outputs=[{"reads": "label", "name": None, "convert": []}])
    assert rows(worker.signature, "outputs") == [("label", "BYTES", [-1])]
    assert list(ask(worker, driver, "x", "g")) == ["label"]


SLOW = """
inputs <- list(x = numeric())
predict <- function(x) {
  if (x[1] > 0) { file.create("begun"); repeat x <- x + 1 }
  x
}
"""


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_batch_that_runs_can_be_cancelled(start: Serve, driver: Any, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text(SLOW)
    worker = start(tmp_path)
    for _ in range(10):
        id = worker.link.send_predict(driver.tensor("x", [1], "FP64"))
        until((tmp_path / "begun").exists)
        worker.control.send(frames.CANCEL, id, {"link": 1})
        assert worker.link.receive().header["code"] == "CANCELLED"
        (tmp_path / "begun").unlink()
        assert worker.link.predict(driver.tensor("x", [-3], "FP64")).arrays["prediction"].tolist() == [-3]


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except OSError:
        return True


def test_the_worker_ends_with_its_r(start: Serve, driver: Any, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text("predict <- function(x) { if (x[1] > 0) quit(status = 5); x }")
    worker = start(tmp_path)
    worker.link.send_predict(driver.tensor("x", [1], "FP64"))
    assert worker.wait() == 1
    assert "R ended with status 5" in worker.log


def test_the_worker_ends_when_its_r_is_killed_while_nothing_is_asked(start: Serve, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text("predict <- function(x) x")
    worker = start(tmp_path)
    (child,) = children(worker.process.pid)
    os.kill(child, signal.SIGKILL)
    assert worker.wait() == 1
    assert "R ended with SIGKILL" in worker.log


def test_r_ends_when_its_worker_is_killed_in_the_midst_of_a_batch(start: Serve, driver: Any, tmp_path: Path) -> None:
    (tmp_path / "predict.R").write_text(SLOW)
    worker = start(tmp_path)
    (child,) = children(worker.process.pid)
    worker.link.send_predict(driver.tensor("x", [1], "FP64"))
    until((tmp_path / "begun").exists)
    os.kill(worker.process.pid, signal.SIGKILL)  # the worker alone, not its group
    until(lambda: is_gone(child))


def test_large_batches_and_dates_go_through(start: Serve, driver: Any, tmp_path: Path) -> None:
    code = "inputs <- list(x = matrix(numeric(), 0, 500), day = as.Date(character()))\n"
    (tmp_path / "predict.R").write_text(code + "predict <- function(x, day) list(x = x, day = format(day + 1))")
    worker = start(tmp_path)
    values = np.random.default_rng(1).random((1000, 500))
    answer = worker.link.predict(
        driver.tensor("x", values, "FP64"), driver.tensor("day", ["2024-02-28"] * 1000, "BYTES")
    )
    np.testing.assert_array_equal(answer.arrays["x"], values)
    assert texts(answer.arrays["day"])[:1] == ["2024-02-29"]
    wrong = worker.link.predict(driver.tensor("x", values[:1], "FP64"), driver.tensor("day", ["soon"], "BYTES"))
    assert wrong.header["message"] == "the input day holds text that is no date"
