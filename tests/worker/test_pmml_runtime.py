"""PMML documents: fields of every type, missing values, and what is refused before Java sees it."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import pytest
from framework_programs import told_by

from framework_environments import framework_python
from pmml_tree import TREE
from salver_worker import frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
LINE = """<PMML xmlns="http://www.dmg.org/PMML-4_4" version="4.4">
  <Header/>
  <DataDictionary>
    <DataField name="size" optype="continuous" dataType="double"/>
    <DataField name="rooms" optype="continuous" dataType="integer"/>
    <DataField name="town" optype="categorical" dataType="string"><Value value="a"/><Value value="b"/></DataField>
    <DataField name="price" optype="continuous" dataType="double"/>
  </DataDictionary>
  <RegressionModel functionName="regression">
    <MiningSchema>
      <MiningField name="size"/><MiningField name="rooms"/><MiningField name="town" missingValueReplacement="b"/>
      <MiningField name="price" usageType="target"/>
    </MiningSchema>
    <RegressionTable intercept="1">
      <NumericPredictor name="size" coefficient="2"/><NumericPredictor name="rooms" coefficient="3"/>
      <CategoricalPredictor name="town" value="a" coefficient="10"/>
    </RegressionTable>
  </RegressionModel>
</PMML>
"""


def test_fields_are_inputs_and_outputs_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "line.pmml").write_text(LINE)
    (tmp_path / "tree.pmml").write_text(TREE)
    (tmp_path / "typed.pmml").write_text(f'<!DOCTYPE PMML SYSTEM "file:///etc/hostname">{LINE}')
    (tmp_path / "broken.pmml").write_text(LINE[:300])
    told = told_by(
        framework_python("pypmml==1.5.8"),
        """
        line, tree = opened("pmml", folder + "/line.pmml"), opened("pmml", folder + "/tree.pmml")
        given = {"size": np.array([1.0, np.nan, 2.0]), "rooms": np.array([2, 2, 1]), "town": text("a", "b", "")}
        none = {"size": np.zeros(0), "rooms": np.zeros(0, int), "town": np.zeros(0, object)}
        tell(
            line=[rows(line, "inputs"), rows(line), line.predict(given, {})["predicted_price"]],
            tree=[rows(tree), tree.predict({"x": np.array([0.1, 0.9])}, {}), tree.details],
            none=line.predict(none, {})["predicted_price"],
            typed=failure(lambda: opened("pmml", folder + "/typed.pmml")),
            broken=failure(lambda: opened("pmml", folder + "/broken.pmml")),
        )
        """,
        tmp_path,
    )
    inputs, outputs, values = told["line"]
    assert inputs == [["size", "FP64", [-1]], ["rooms", "INT64", [-1]], ["town", "BYTES", [-1]]]
    assert outputs == [["predicted_price", "FP64", [-1]]]
    assert (values[0], values[2]) == (1 + 2 + 6 + 10, 1 + 4 + 3)
    assert math.isnan(values[1])
    outputs, answer, details = told["tree"]
    assert [row[:2] for row in outputs] == [
        ["predicted_class", "BYTES"],
        ["probability", "FP64"],
        ["probability_no", "FP64"],
        ["probability_yes", "FP64"],
    ]
    assert answer["predicted_class"] == ["no", "yes"]
    assert answer["probability_yes"] == [0.1, 0.8]
    assert details == {"model": "TreeModel", "function": "classification", "classes": '["no", "yes"]'}
    assert told["none"] == []
    assert "the document declares a DOCTYPE or entities" in told["typed"][1]
    assert "PMML4S cannot read the document" in told["broken"][1]


def test_java_lives_in_the_worker_and_ends_with_it(driver: Any, tmp_path: Path) -> None:
    path = tmp_path / "tree.pmml"
    path.write_text(TREE)
    with driver.WorkerProcess(tmp_path, python=framework_python("pypmml==1.5.8")) as worker:
        assert worker.load("pmml", path).verb == frames.READY
        pid = worker.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        sockets = {os.readlink(each) for each in Path(f"/proc/{pid}/fd").iterdir() if each.is_symlink()}
        listening = [
            line.split()[9]
            for name in ("tcp", "tcp6")
            for line in Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]
            if line.split()[3] == "0A"
        ]
        assert children == ""
        assert not {f"socket:[{inode}]" for inode in listening} & sockets
        assert worker.stop() == 0


def test_without_java_the_failure_says_what_to_install(tmp_path: Path) -> None:
    told = told_by(
        framework_python("pypmml==1.5.8"),
        """
        import jpype
        def none():
            raise jpype.JVMNotFoundException("No JVM shared library file (libjvm.so) found.")
        jpype.getDefaultJVMPath = jpype._core.getDefaultJVMPath = none
        open(folder + "/m.pmml", "w").write("<PMML/>")
        tell(refused=failure(lambda: opened("pmml", folder + "/m.pmml")))
        """,
        tmp_path,
    )
    assert told["refused"][1].startswith("there is no Java runtime, which PMML needs: No JVM shared library")
    assert "JAVA_HOME" in told["refused"][2]
