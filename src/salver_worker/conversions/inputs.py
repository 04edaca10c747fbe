"""One [[inputs]] row: what callers send under its name becomes an input of the model."""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from salver_worker.conversions.chain import bind_source, bind_steps, read_steps
from salver_worker.conversions.errors import ConversionError, RowError, StepError
from salver_worker.conversions.fit import fit
from salver_worker.conversions.flow import Array, Flow, numpy_type, shape_fits
from salver_worker.conversions.sides import check_keys, find_side, text_of
from salver_worker.conversions.step import INPUT, Source
from salver_worker.errors import InputError

KEYS = ("name", "feeds", "convert")


class InputRow(NamedTuple):
    """A bound row. `changes` is False when it neither renames nor converts."""

    name: str
    feeds: str
    where: List[Any]
    source: Source
    functions: Tuple[Callable[[Any], Any], ...]
    changes: bool

    def convert(self, arrays: Mapping[str, Array]) -> Array:
        """The model's input. Raises InputError."""
        for name, flow in self.source.inputs.items():
            _check(name, flow, arrays)
        try:
            return self._run(self.source.gather(arrays))
        except RowError as error:
            place = "" if error.row is None else ", row %d" % error.row
            raise InputError('input "%s"%s: %s' % (self.name, place, error.message)) from error

    def _run(self, value: Any) -> Array:
        for function in self.functions:
            value = function(value)
        array: Array = value
        return array


def _check(name: str, flow: Flow, arrays: Mapping[str, Array]) -> None:
    """An input must be there, of the datatype and shape that the signature says."""
    array = arrays.get(name)
    if array is None:
        raise InputError('the input "%s" is missing' % name)
    is_right_type = array.dtype == numpy_type(flow.datatype)
    if not (is_right_type and shape_fits(flow.shape, array.shape)):
        told = (name, flow, array.dtype, list(array.shape))
        raise InputError('input "%s" must be %s, not %s %s' % told)


def bind_input(row: Mapping[str, Any], takes: Mapping[str, Flow], folder: str, where: List[Any]) -> InputRow:
    """Bind a row to the model's inputs. Raises ConversionError."""
    check_keys(row, KEYS, where)
    feeds = find_side(row, "feeds", takes, "input", where)
    name = text_of(row, "name", where) or feeds
    place = [*where, "convert"]
    declared = read_steps(row.get("convert") or [], INPUT, place)
    source, rest = bind_source(declared, name, takes[feeds])
    chain = bind_steps(rest, source.flow, folder)
    try:
        end = fit(chain.flow, takes[feeds], feeds)
    except StepError as error:
        raise ConversionError(error.message, place, error.fix) from error
    functions = (*chain.functions, *end.functions) if declared else ()
    return InputRow(name, feeds, where, _with_rows(source, end.rows), functions, bool(declared) or name != feeds)


def _with_rows(source: Source, rows: int) -> Source:
    """The source with the number of rows that the model insists on."""
    return source._replace(inputs={name: _row_count(flow, rows) for name, flow in source.inputs.items()})


def _row_count(flow: Flow, rows: int) -> Flow:
    if rows == -1 or flow.shape[:1] != (-1,):
        return flow
    return flow._replace(shape=(rows, *flow.shape[1:]))


def check_inputs(rows: Sequence[InputRow], takes: Mapping[str, Flow]) -> None:
    """No model input has two feeds, and no name of a caller's input means two things. Raises ConversionError."""
    fed: Dict[str, InputRow] = {}
    for row in rows:
        if row.feeds in fed:
            message = 'two rows feed the model\'s input "%s"' % row.feeds
            raise ConversionError(message, row.where, "Keep one row for each input of the model.")
        fed[row.feeds] = row
    meanings = {name: flow for name, flow in takes.items() if name not in fed}
    for row in rows:
        for name, flow in row.source.inputs.items():
            if _spec(meanings.setdefault(name, flow)) != _spec(flow) or (name in takes and name not in fed):
                message = 'the name "%s" stands for two different inputs' % name
                raise ConversionError(message, row.where, "Give one of them another name.")


def _spec(flow: Flow) -> Tuple[str, Tuple[int, ...]]:
    return flow.datatype, flow.shape
