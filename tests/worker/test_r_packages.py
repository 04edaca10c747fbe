"""Models of packages of CRAN, each as far as its package is installed here; answers are those of R itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases.r import run_r

from salver_worker import frames

SETUP = """
set.seed(3)
d <- data.frame(x = rnorm(80), z = rnorm(80), g = factor(sample(c("a", "b"), 80, TRUE)))
d$y <- 2 * d$x - d$z + rnorm(80) / 10
d$c <- factor(ifelse(d$y + rnorm(80) > 0, "hi", "lo"))
d$k <- factor(c("u", "v", "w")[1 + (d$x > 0) + (d$z > 0)])
new <- data.frame(x = c(-1, 0.5, 2), z = c(0, 1, -1), g = factor(c("a", "b", "b")))
m <- as.matrix(d[c("x", "z")])
"""
VALUES = {"x": ([-1, 0.5, 2], "FP64"), "z": ([0, 1, -1], "FP64"), "g": (["a", "b", "b"], "BYTES")}
MATRIX = [[-1, 0], [0.5, 1], [2, -1]]
CASES = {
    # package, the model, then what R says by output
    "caret forest": (
        "caret",
        'train(c ~ x + g, d, "rpart", trControl = trainControl("cv", 3))',
        {"label": "predict(s, new)", "probabilities": 'predict(s, new, type = "prob")'},
    ),
    "caret numbers": (
        "caret",
        'train(d[c("x", "g")], d$y, "rpart")',
        {"prediction": "predict(s, new)"},
    ),
    "support vectors": ("e1071", "svm(c ~ x + z, d)", {"label": "predict(s, new)"}),
    "support vectors of numbers": ("e1071", "svm(y ~ x + z, d)", {"prediction": "predict(s, new)"}),
    "naive bayes": (
        "e1071",
        "naiveBayes(c ~ x + g, d)",
        {"label": "predict(s, new)", "probabilities": 'predict(s, new, type = "raw")'},
    ),
    "glmnet": ("glmnet", "glmnet(m, d$y, lambda = 0.1)", {"prediction": "predict(s, as.matrix(new[c('x', 'z')]))"}),
    "glmnet of classes": (
        "glmnet",
        'cv.glmnet(m, d$k, family = "multinomial")',
        {
            "label": "predict(s, as.matrix(new[c('x', 'z')]), type = 'class')",
            "probabilities": "predict(s, as.matrix(new[c('x', 'z')]), type = 'response')[, , 1]",
        },
    ),
    "ranger": ("ranger", "ranger(c ~ x + z, d, num.trees = 20)", {"label": "predict(s, new)$predictions"}),
    "ranger of chances": (
        "ranger",
        "ranger(k ~ x + z, d, num.trees = 20, probability = TRUE)",
        {"probabilities": "predict(s, new)$predictions"},
    ),
    "gbm": (
        "gbm",
        'gbm(y ~ x + g, "gaussian", d, n.trees = 20)',
        {"prediction": "predict(s, new, n.trees = 20)"},
    ),
    "discriminants": (
        "MASS",
        "lda(k ~ x + z, d)",
        {"label": "predict(s, new)$class", "probabilities": "predict(s, new)$posterior"},
    ),
    "additive": ("mgcv", "gam(y ~ s(x) + g, data = d)", {"prediction": 'predict(s, new, type = "response")'}),
}
TELL = """
text <- function(v) if (is.character(v) || is.factor(v)) paste0('"', v, '"') else sprintf("%.17g", v)
jsonify <- function(v) {
  if (is.data.frame(v)) v <- as.matrix(v)
  row <- function(values) paste0("[", paste(text(values), collapse = ","), "]")
  rows <- if (length(dim(v)) > 1 && ncol(v) > 1) apply(v, 1, row) else text(as.vector(v))
  paste0("[", paste(rows, collapse = ","), "]")
}
"""


@pytest.fixture
def worker(driver: Any, tmp_path: Path) -> Iterator[Any]:
    with driver.WorkerProcess(tmp_path) as worker:
        yield worker


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_a_model_answers_as_r_does(worker: Any, driver: Any, tmp_path: Path, name: str) -> None:
    package, code, told = CASES[name]
    if run_r(f'cat(nzchar(system.file(package = "{package}")))') != "TRUE":
        pytest.skip(f"NO R PACKAGE {package}: install r-cran-{package.lower()} to test its models")
    path = tmp_path / "m.rds"
    members = ", ',', ".join(f"'\"{output}\": ', jsonify({expression})" for output, expression in told.items())
    saved = f"suppressPackageStartupMessages(library({package})); s <- {code}; saveRDS(s, commandArgs(TRUE)[1])"
    wanted = json.loads(run_r(f"{SETUP}{TELL}{saved}; cat('{{', {members}, '}}')", path).rpartition("\n")[2])
    ready = worker.load("r", path)
    assert ready.verb == frames.READY, ready.header
    inputs = [row["name"] for row in ready.header["signatures"]["serving_default"]["inputs"]]
    values = {**VALUES, "x": (MATRIX, "FP64")} if inputs == ["x"] and package == "glmnet" else VALUES
    answer = worker.attach().predict(*(driver.tensor(each, *values[each]) for each in inputs))
    assert answer.verb == frames.RESULT, answer.header
    declared = [row["name"] for row in ready.header["signatures"]["serving_default"]["outputs"]]
    assert declared == list(answer.arrays)
    for output, expected in wanted.items():
        found = answer.arrays[output]
        if found.dtype == object:
            assert [each.decode() for each in found.tolist()] == expected
        else:
            np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_a_model_that_forgot_its_levels_says_what_to_write(worker: Any, tmp_path: Path) -> None:
    if run_r('cat(nzchar(system.file(package = "e1071")))') != "TRUE":
        pytest.skip("NO R PACKAGE e1071: install r-cran-e1071 to test its models")
    run_r(f"{SETUP}library(e1071); saveRDS(svm(c ~ x + g, d), commandArgs(TRUE)[1])", tmp_path / "m.rds")
    failed = worker.load("r", tmp_path / "m.rds").header
    assert failed["message"] == ("R stopped: the model does not tell the levels of g: write a predict.R with `inputs`")
