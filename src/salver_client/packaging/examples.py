"""An example as a program has it, as JSON: arrays, tables and tensors become lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from salver_client.packaging.base import failed


def named_example(example: Any, names: Sequence[str]) -> Any:
    """By the names of the inputs, as far as they are known: a tuple has a value for each, anything else is the first's.

    What is named already, and a table, stay as they are.
    """
    if example is None or not names or isinstance(example, Mapping) or hasattr(example, "columns"):
        return example
    values = example if isinstance(example, tuple) else (example,)
    return dict(zip(names, values, strict=False))


def example_document(example: Any) -> Any:
    """A dict by input name, or the value of an input that is not named; None where there is no example."""
    if example is None:
        return None
    if hasattr(example, "columns") and hasattr(example, "dtypes"):
        return _table(example)
    if isinstance(example, Mapping):
        return {str(name): _plain(value) for name, value in example.items()}
    return _plain(example)


def _table(table: Any) -> Any:
    """Rows where all columns are numbers, which is one input; else an input for each column."""
    is_numbers = all(getattr(each, "kind", "O") in "biuf" for each in table.dtypes)
    if is_numbers:
        return table.to_numpy().tolist()
    return {str(name): [_plain(value) for value in table[name].tolist()] for name in table.columns}


def _plain(value: Any) -> Any:
    if hasattr(value, "detach"):  # a tensor with a gradient
        value = value.detach()
    if hasattr(value, "numpy") and not hasattr(value, "tolist"):
        value = value.numpy()
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if value is None or not isinstance(value, (bool, int, float, str)):
        raise failed(
            f"The example has a {type(value).__name__}, which JSON does not know.",
            "Give numbers, texts, lists or arrays.",
        )
    return value
