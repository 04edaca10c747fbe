"""A regression over a letter of a word, which PMML4S fails to find beyond the word's end."""

from __future__ import annotations

from pathlib import Path

from runtime_cases import Case, ask_column, refused_columns, tensor_rows

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header/>
  <DataDictionary>
    <DataField name="x" optype="continuous" dataType="double"/>
    <DataField name="y" optype="continuous" dataType="double"/>
  </DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema><MiningField name="x"/><MiningField name="y" usageType="target"/></MiningSchema>
    <LocalTransformations>
      <DerivedField name="is_a" optype="continuous" dataType="double">
        <Apply function="if">
          <Apply function="equal">
            <Apply function="substring">
              <Constant dataType="string">abc</Constant><FieldRef field="x"/><Constant dataType="integer">1</Constant>
            </Apply>
            <Constant dataType="string">a</Constant>
          </Apply>
          <Constant dataType="double">1</Constant>
          <Constant dataType="double">0</Constant>
        </Apply>
      </DerivedField>
    </LocalTransformations>
    <RegressionTable intercept="1.0"><NumericPredictor name="is_a" coefficient="2.0"/></RegressionTable>
  </RegressionModel>
</PMML>
"""


def build(folder: Path, _python: str) -> Path:
    path = folder / "letters.pmml"
    path.write_text(DOCUMENT)
    return path


CASE = Case(
    build,
    ask_column("FP64"),
    tensor_rows,
    {**refused_columns("FP64", "BYTES"), "poison": (ask_column("FP64", value=666), "MODEL_ERROR")},
    requirements=("pypmml==1.5.8",),
    slab_values=(1, 2),
)
