"""A classifier of texts, and rules for names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime_cases import Case, tensor_rows

from framework_environments import run_in

CODE = """
import sys
import spacy
from spacy.training import Example
nlp = spacy.blank("en")
nlp.add_pipe("entity_ruler").add_patterns([{"label": "ORG", "pattern": "Acme"}])
for label in ("GOOD", "BAD"):
    (nlp.get_pipe("textcat") if nlp.has_pipe("textcat") else nlp.add_pipe("textcat")).add_label(label)
pairs = [("fine", {"GOOD": 1.0, "BAD": 0.0}), ("poor", {"GOOD": 0.0, "BAD": 1.0})]
examples = [Example.from_dict(nlp.make_doc(text), {"cats": cats}) for text, cats in pairs]
ruler = nlp.get_pipe("entity_ruler").to_bytes()
optimizer = nlp.initialize(lambda: examples)
nlp.get_pipe("entity_ruler").from_bytes(ruler)
for _ in range(20):
    nlp.update(examples, sgd=optimizer)
nlp.to_disk(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "pipeline"
    run_in(python, CODE, path)
    return path


def ask(text: str, name: str = "x") -> Any:
    return lambda link, driver, rows: link.predict(driver.tensor(name, [text] * rows, "BYTES"))


def raw(data: bytes) -> Any:
    return lambda link, driver, rows: link.predict(driver.tensor("x", [data] * rows, "BYTES"))


CASE = Case(
    build,
    ask("a fine day at Acme"),
    tensor_rows,
    {
        "datatype": (
            lambda link, driver, rows: link.predict(driver.tensor("x", [1.0] * rows, "FP64")),
            "INVALID_INPUT",
        ),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [["a"]], "BYTES")), "INVALID_INPUT"),
        "name": (ask("a", name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
        "poison": (raw(b"\xff"), "INVALID_INPUT"),
        "long": (ask("a" * 1_000_001), "INVALID_INPUT"),
    },
    requirements=("spacy==3.8.18",),
    slab_values=("a fine day", "poor Acme"),
    many=64,
)
