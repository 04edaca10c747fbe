"""A PMML document that says `yes` to numbers above a half."""

from __future__ import annotations

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
