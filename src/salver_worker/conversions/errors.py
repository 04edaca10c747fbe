"""Errors of conversions.

ConversionError   the manifest is wrong: found when the model is loaded, with the place in the manifest
OutputError       the model returned what its own signature does not allow
StepError         inside this package: a step's declaration is wrong; `chain` adds the place
RowError          inside this package: a value cannot be converted; `plan` adds the name of the input or output
"""

from typing import Any, List, Optional


class ConversionError(Exception):
    """The manifest's inputs or outputs cannot be bound to the model.

    `where` is the key path in the manifest, such as ["inputs", 0, "convert", 3, "resize", "size"].
    """

    def __init__(self, message: str, where: List[Any], fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.fix = fix


class OutputError(ValueError):
    """What the model returned does not fit; the message is safe to show."""


class StepError(ValueError):
    """A declared step is wrong. `parameter` names the one at fault, when it is one."""

    def __init__(self, message: str, parameter: str = "", fix: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.parameter = parameter
        self.fix = fix


class RowError(ValueError):
    """A value cannot be converted. `row` counts from 0; None when the tensor as a whole is at fault."""

    def __init__(self, message: str, row: Optional[int] = None) -> None:
        super().__init__(message)
        self.message = message
        self.row = row
