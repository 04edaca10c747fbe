"""A tree with one split."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from runtime_cases import Case, tensor_rows

TREE = """<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header/>
  <DataDictionary>
    <DataField name="x" optype="continuous" dataType="double"/>
    <DataField name="class" optype="categorical" dataType="string"><Value value="no"/><Value value="yes"/></DataField>
  </DataDictionary>
  <TreeModel functionName="classification" missingValueStrategy="none">
    <MiningSchema><MiningField name="x"/><MiningField name="class" usageType="target"/></MiningSchema>
    <Node score="no">
      <True/>
      <Node score="no">
        <SimplePredicate field="x" operator="lessOrEqual" value="0.5"/>
        <ScoreDistribution value="no" recordCount="9"/><ScoreDistribution value="yes" recordCount="1"/>
      </Node>
      <Node score="yes">
        <SimplePredicate field="x" operator="greaterThan" value="0.5"/>
        <ScoreDistribution value="no" recordCount="2"/><ScoreDistribution value="yes" recordCount="8"/>
      </Node>
    </Node>
  </TreeModel>
</PMML>
"""


def build(folder: Path, _python: str) -> Path:
    path = folder / "tree.pmml"
    path.write_text(TREE)
    return path


def ask(datatype: str, name: str = "x", value: Any = 1.0) -> Any:
    return lambda link, driver, rows: link.predict(driver.tensor(name, np.full(rows, value), datatype))


CASE = Case(
    build,
    ask("FP64"),
    tensor_rows,
    {
        "datatype": (ask("BYTES"), "INVALID_INPUT"),
        "rank": (lambda link, driver, rows: link.predict(driver.tensor("x", [[1.0]], "FP64")), "INVALID_INPUT"),
        "name": (ask("FP64", name="z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
    },
    requirements=("pypmml==1.5.8",),
    slab_values=(0.25, 0.75),
)
