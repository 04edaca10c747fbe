from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver_worker.conversions.cells import CellRules
from salver_worker.conversions.errors import RowError
from salver_worker.conversions.plan import ConversionPlan
from salver_worker.errors import InputError

TAKES = ("FP64", [-1, 2])
SEX = {"sex": {"male": 0, "female": 1.5, "2": 2, "true": 3}}


@pytest.fixture
def rows(convert: Any, elements: Any) -> Any:
    """The matrix of some texts after one step."""

    def run(step: Any, *texts: Any) -> Any:
        return convert([step], elements(*texts), ("FP64", [-1, -1])).tolist()

    return run


def test_a_line_of_csv_is_a_row(rows: Any) -> None:
    assert rows("csv", "1,2.5", " 3 ,-4e2\n", '"5","6"\r\n') == [[1, 2.5], [3, -400], [5, 6]]
    assert rows({"csv": {"delimiter": ";"}}, "1;2", "\ufeff3;4") == [[1, 2], [3, 4]]


def test_no_rows_of_csv_are_no_rows(rows: Any, convert: Any, elements: Any) -> None:
    assert rows("csv") == []
    assert convert([{"csv": ["a", "b"]}], elements(), TAKES).shape == (0, 2)


def test_a_header_puts_the_columns_into_the_order_of_the_model(rows: Any) -> None:
    step = {"csv": {"columns": ["a", "b"], "header": True}}
    assert rows(step, "b, a, other\n2,1,x", "a,b\n3,4") == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("step", "text", "message"),
    [
        ("csv", "", "there are 0 lines where one line should be; send each line as a row of its own"),
        ("csv", "1,2\n3,4", "there are 2 lines where one line should be"),
        ("csv", "1,x", "column 1: 'x' is not a number"),
        ("csv", "1,", "column 1 has no value"),
        ("csv", '"1,2', "the text is not CSV: "),
        ("csv", b"\xff", r"the bytes are not UTF-8 text \(byte 0\)"),
        ("csv", "1,inf", "column 1: 'inf' is not a number"),
        ("csv", "1_0,1", "column 0: '1_0' is not a number"),
        ({"csv": ["a", "b"]}, "1,2,3", "the line has 3 values but there are 2 columns"),
        ({"csv": ["a", "b"]}, "1,NaN", "column b has no value"),
        (
            {"csv": {"columns": ["a"], "header": True}},
            "1",
            "1 lines where a header line and one line of values should be",
        ),
        ({"csv": {"columns": ["a"], "header": True}}, "b\n1", "the header has the column a 0 times"),
        ({"csv": {"columns": ["a"], "header": True}}, "a,a\n1,2", "the header has the column a 2 times"),
        ({"csv": {"columns": ["a"], "header": True}}, "a,b\n1", "the line has 1 values but the header has 2 names"),
        ({"json_columns": ["a"]}, "[1]", "the JSON must be an object with a value for each column"),
        ({"json_columns": ["a"]}, "{", "the text is not JSON"),
        ({"json_columns": ["a"]}, "[" * 100000, "the text is not JSON"),
        ({"json_columns": ["a"]}, "{}", "column a has no value"),
        ({"json_columns": ["a"]}, '{"a": null}', "column a has no value"),
        ({"json_columns": ["a"]}, '{"a": [1]}', r"column a: \[1\] is not a number"),
        ({"json_columns": ["a"]}, '{"a": {"b": "%s"}}' % ("c" * 99), r"column a: \{'b': 'c+\.\.\. is not a number"),
        ({"json_columns": ["a"]}, '{"a": 1e999}', "column a: inf is not a number"),
        ({"json_columns": ["a"]}, '{"a": 1%s}' % ("0" * 400), r"column a: 10+\.\.\. is not a number"),
    ],
)
def test_a_text_that_is_no_row_is_refused(rows: Any, step: Any, text: Any, message: str) -> None:
    with pytest.raises(InputError, match=f'^input "x", row 0: .*{message}'):
        rows(step, text)


def test_lines_of_different_lengths_are_refused(rows: Any) -> None:
    with pytest.raises(InputError, match="row 1: the line has 1 values but the first one has 2"):
        rows("csv", "1,2", "3")


def test_json_objects_give_their_columns_in_order(rows: Any) -> None:
    step = {"json_columns": ["a", "b"]}
    assert rows(step, '{"b": 2, "a": 1.5, "c": [0]}', '{"a": "3", "b": true}') == [[1.5, 2], [3, 1]]


@pytest.mark.parametrize("word", ["", "NA", "n/a", "NaN", "null", "None", " "])
def test_missing_values_take_what_stands_for_them(rows: Any, word: str) -> None:
    assert rows({"csv": {"columns": ["a", "b"], "missing": -1}}, f"{word},2") == [[-1, 2]]
    result = rows({"json_columns": {"columns": ["a"], "missing": "nan"}}, json.dumps({"a": word}))
    assert math.isnan(result[0][0])


def test_a_missing_key_and_a_nan_of_json_are_missing(rows: Any) -> None:
    step = {"json_columns": {"columns": ["a", "b"], "missing": 7}}
    assert rows(step, '{"a": NaN}') == [[7, 7]]


@pytest.mark.parametrize("text", ['{"sex": "female"}', '{"sex": " female "}'])
def test_categories_give_their_number(rows: Any, text: str) -> None:
    assert rows({"json_columns": {"columns": ["sex"], "categories": SEX}}, text) == [[1.5]]


def test_categories_of_numbers_and_truth_are_written_as_text(rows: Any) -> None:
    step = {"json_columns": {"columns": ["sex"], "categories": SEX}}
    assert rows(step, '{"sex": 2}', '{"sex": 2.0}', '{"sex": true}', '{"sex": "2"}') == [[2], [2], [3], [2]]


def test_csv_has_categories_too(rows: Any) -> None:
    step = {"csv": {"columns": ["age", "sex"], "categories": SEX, "missing": -1, "unknown": -2}}
    assert rows(step, "3,male", "3,", "3,other", ",2") == [[3, 0], [3, -1], [3, -2], [-1, 2]]


def test_a_category_that_is_not_known_is_refused(rows: Any) -> None:
    step = {"json_columns": {"columns": ["sex"], "categories": SEX}}
    with pytest.raises(InputError, match=r"row 0: column sex: 'x' is not one of male, female, 2, true$"):
        rows(step, '{"sex": "x"}')
    with pytest.raises(InputError, match=r"column sex: '2\.5' is not one of"):
        rows(step, '{"sex": 2.5}')
    with pytest.raises(InputError, match="column sex has no value"):
        rows(step, "{}")


def test_a_long_list_of_categories_is_shortened(rows: Any) -> None:
    many = {"s": {str(number): number for number in range(9)}}
    with pytest.raises(InputError, match=r"is not one of 0, 1, 2, 3, 4, \.\.\.$"):
        rows({"json_columns": {"columns": ["s"], "categories": many}}, '{"s": "x"}')


@pytest.mark.parametrize(
    ("step", "message", "where"),
    [
        ({"csv": {"header": True}}, "csv: header = true needs columns, in the order of the model", []),
        ({"csv": {"categories": SEX}}, "csv: categories need columns, which name the values in order", []),
        (
            {"csv": {"columns": ["sx"], "categories": SEX}},
            'csv: categories name the column sex, which is not one of columns; did you mean "sx"?',
            ["csv", "categories"],
        ),
        ({"csv": {"columns": []}}, "csv: columns must be a list of different names, not []", ["csv", "columns"]),
        ({"csv": {"columns": ["a", "a"]}}, "csv: columns has the same name twice", ["csv", "columns"]),
        (
            {"csv": {"delimiter": ", "}},
            'csv: delimiter must be one character, not a quote or a line end, not ", "',
            ["csv", "delimiter"],
        ),
        (
            {"csv": {"missing": "zero"}},
            'csv: missing must be "error", "nan" or a number, not "zero"',
            ["csv", "missing"],
        ),
        (
            {"csv": {"columns": ["a"], "categories": {"a": {"b": "c"}}}},
            'csv: categories must be a table of columns, each a table of value = number, not {"a": {"b": "c"}}',
            ["csv", "categories"],
        ),
        ("json_columns", "json_columns: needs columns: a list of different names", []),
    ],
)
def test_a_wrong_declaration_is_refused(input_error: Any, step: Any, message: str, where: Any) -> None:
    error = input_error([step], TAKES)
    assert error.message == message
    assert error.where == ["inputs", 0, "convert", 0, *where]


def test_callers_send_one_element_for_each_row(input_plan: Any, input_error: Any) -> None:
    assert input_plan(["csv"], TAKES).signature["inputs"] == [{"name": "x", "datatype": "BYTES", "shape": [-1]}]
    error = input_error([{"accept": {"datatype": "BYTES", "shape": [-1, 2]}}, "csv"], TAKES)
    assert error.message == "csv: needs BYTES [-1] but gets BYTES [-1, 2]"


CELLS = st.one_of(st.booleans(), st.integers(-(2**60), 2**60), st.floats(allow_nan=False, allow_infinity=False))


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=4))
def test_the_same_row_means_the_same_in_csv_and_json(table: list[tuple[Any, Any]]) -> None:
    matrices = []
    as_json = [json.dumps({"a": a, "b": b}) for a, b in table]
    as_csv = [f"{json.dumps(a)},{json.dumps(b)}" for a, b in table]
    for step, texts in (({"json_columns": ["a", "b"]}, as_json), ({"csv": ["a", "b"]}, as_csv)):
        signature = {"inputs": [{"name": "x", "datatype": "FP64", "shape": [-1, 2]}], "outputs": []}
        plan = ConversionPlan.bind(signature, [{"convert": [step]}], [], "")
        matrices.append(plan.convert_inputs({"x": np.array([text.encode() for text in texts], object)})["x"].tolist())
    assert matrices[0] == matrices[1] == [[float(a), float(b)] for a, b in table]


@given(st.one_of(st.text(), st.none(), st.booleans(), st.integers(), st.floats(), st.lists(st.integers(), max_size=2)))
def test_any_cell_is_a_finite_number_or_refused(value: Any) -> None:
    try:
        assert math.isfinite(CellRules(missing=0).number(value, "c"))
    except RowError as error:
        assert error.message.startswith("column c: ")  # noqa: PT017  both outcomes are right
