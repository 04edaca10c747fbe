"""One [[outputs]] row: an output of the model becomes one or more answers."""

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from salver_worker.conversions.chain import bind_steps, read_steps
from salver_worker.conversions.errors import ConversionError, OutputError, RowError
from salver_worker.conversions.flow import Array, Flow, shape_fits
from salver_worker.conversions.sides import check_keys, find_side, text_of
from salver_worker.conversions.step import OUTPUT

KEYS = ("name", "reads", "convert")


class OutputRow(NamedTuple):
    """A bound row. `outputs` are what callers get of it; `changes` is False when it neither renames nor converts."""

    name: str
    reads: str
    where: List[Any]
    incoming: Flow
    functions: Tuple[Callable[[Any], Any], ...]
    outputs: Dict[str, Flow]
    ranking: Optional[Dict[str, str]]
    changes: bool

    def convert(self, arrays: Mapping[str, Array]) -> Dict[str, Array]:
        """The row's answers by name. Raises OutputError."""
        array = arrays.get(self.reads)
        if array is None:
            raise OutputError('the model gave no output "%s"' % self.reads)
        if not shape_fits(self.incoming.shape, array.shape):
            told = (self.reads, list(array.shape), self.incoming)
            raise OutputError('the model gave output "%s" with shape %s, but its signature says %s' % told)
        value = self._run(array)
        return value if isinstance(value, dict) else {self.name: value}

    def _run(self, array: Array) -> Any:
        value: Any = array
        try:
            for function in self.functions:
                value = function(value)
        except RowError as error:
            place = "" if error.row is None else ", row %d" % error.row
            raise OutputError('output "%s"%s: %s' % (self.name, place, error.message)) from error
        return value


def bind_output(row: Mapping[str, Any], gives: Mapping[str, Flow], folder: str, where: List[Any]) -> OutputRow:
    """Bind a row to the model's outputs. Raises ConversionError."""
    check_keys(row, KEYS, where)
    reads = find_side(row, "reads", gives, "output", where)
    name = text_of(row, "name", where) or reads
    declared = read_steps(row.get("convert") or [], OUTPUT, [*where, "convert"])
    chain = bind_steps(declared, gives[reads], folder)
    outputs = {name: chain.flow} if chain.outputs is None else chain.outputs
    changes = bool(declared) or name != reads
    return OutputRow(name, reads, where, gives[reads], chain.functions, outputs, chain.ranking, changes)


def check_outputs(rows: Sequence[OutputRow]) -> None:
    """No two answers have one name. Raises ConversionError."""
    names: Set[str] = set()
    for row in rows:
        for name in row.outputs:
            if name in names:
                message = 'two outputs would be called "%s"' % name
                raise ConversionError(message, row.where, "Give one of the rows another name.")
            names.add(name)
