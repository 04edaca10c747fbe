"""The whole of a model's conversions, bound once when it is loaded and run for every batch."""

from typing import Any, Dict, List, Mapping, Optional, Sequence

from salver_worker.conversions.errors import ConversionError, OutputError
from salver_worker.conversions.flow import Array, Flow
from salver_worker.conversions.inputs import InputRow, bind_input, check_inputs
from salver_worker.conversions.names import listed
from salver_worker.conversions.outputs import OutputRow, bind_output, check_outputs
from salver_worker.errors import InputError

__all__ = ["ConversionError", "ConversionPlan", "OutputError"]

Row = Mapping[str, Any]


class ConversionPlan:
    """What callers send and get, and the way from there to the model and back.

    Inputs of the model that no row feeds stay as they are. Outputs that no row reads are passed on when there are no
    output rows at all, and dropped otherwise: rows say which answers a model gives away.
    """

    def __init__(
        self,
        signature: Dict[str, Any],
        inputs: Sequence[InputRow],
        outputs: Sequence[OutputRow],
        unread: Sequence[str],
        is_identity: bool,
    ) -> None:
        self.signature = signature
        self.unread = tuple(unread)
        """The model's outputs that no row reads."""
        self.is_identity = is_identity
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._known = {spec["name"] for spec in signature["inputs"]}
        self._converted = {name for row in inputs for name in row.source.inputs}

    @classmethod
    def bind(
        cls, signature: Row, inputs: Optional[Sequence[Row]], outputs: Optional[Sequence[Row]], folder: str
    ) -> "ConversionPlan":
        """Bind the manifest's rows to the signature that the runtime reports. Raises ConversionError."""
        takes, gives = _flows(signature["inputs"]), _flows(signature["outputs"])
        input_rows = [bind_input(row, takes, folder, ["inputs", index]) for index, row in enumerate(inputs or ())]
        check_inputs(input_rows, takes)
        output_rows = [bind_output(row, gives, folder, ["outputs", index]) for index, row in enumerate(outputs or ())]
        check_outputs(output_rows)
        seen = {
            "inputs": _with_columns(_specs(_callers_inputs(input_rows, takes)), signature["inputs"], input_rows),
            "outputs": _specs(_callers_outputs(output_rows) if output_rows else gives),
            "ranking": _ranking(output_rows) if output_rows else signature.get("ranking"),
        }
        changes = any(row.changes for row in input_rows) or any(row.changes for row in output_rows)
        read = {row.reads for row in output_rows}
        unread = [name for name in gives if name not in read] if output_rows else []
        return cls(seen, input_rows, output_rows, unread, not changes and not unread)

    def convert_inputs(self, arrays: Dict[str, Array]) -> Dict[str, Array]:
        """What the model takes, from what callers sent. Raises InputError that names the input and the row."""
        if not self._inputs:
            return arrays
        for name in arrays:
            if name not in self._known:
                raise InputError('the model has no input "%s"; it takes %s' % (name, listed(sorted(self._known))))
        converted = {name: array for name, array in arrays.items() if name not in self._converted}
        for row in self._inputs:
            converted[row.feeds] = row.convert(arrays)
        return converted

    def convert_outputs(self, arrays: Dict[str, Array]) -> Dict[str, Array]:
        """What callers get, from what the model gave. Raises OutputError that names the output and the row."""
        if self.is_identity or not self._outputs:
            return arrays
        answers: Dict[str, Array] = {}
        for row in self._outputs:
            answers.update(row.convert(arrays))
        return answers


def _flows(specs: Sequence[Row]) -> Dict[str, Flow]:
    return {spec["name"]: Flow(spec["datatype"], tuple(spec["shape"])) for spec in specs}


def _specs(flows: Mapping[str, Flow]) -> List[Dict[str, Any]]:
    return [{"name": name, "datatype": flow.datatype, "shape": list(flow.shape)} for name, flow in flows.items()]


def _with_columns(specs: List[Dict[str, Any]], own: Sequence[Row], rows: Sequence[InputRow]) -> List[Dict[str, Any]]:
    """The names of the columns of inputs that callers fill as the model has them."""
    fed = {row.feeds for row in rows}
    named = {spec["name"]: spec["columns"] for spec in own if spec.get("columns") and spec["name"] not in fed}
    return [{**spec, "columns": named[spec["name"]]} if spec["name"] in named else spec for spec in specs]


def _callers_inputs(rows: Sequence[InputRow], takes: Mapping[str, Flow]) -> Dict[str, Flow]:
    """The rows' inputs in the manifest's order, then the model's own that no row feeds."""
    inputs: Dict[str, Flow] = {}
    for row in rows:
        inputs.update(row.source.inputs)
    fed = {row.feeds for row in rows}
    inputs.update((name, flow) for name, flow in takes.items() if name not in fed)
    return inputs


def _callers_outputs(rows: Sequence[OutputRow]) -> Dict[str, Flow]:
    outputs: Dict[str, Flow] = {}
    for row in rows:
        outputs.update(row.outputs)
    return outputs


def _ranking(rows: Sequence[OutputRow]) -> Optional[Dict[str, str]]:
    """The first ranking of the rows: clients of classify calls get one."""
    return next((row.ranking for row in rows if row.ranking is not None), None)
