"""What a step is: a row of the catalogue, with its parameters and the function that binds it."""

from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

from salver_worker.conversions.flow import Array, Flow

INPUT = "input"
OUTPUT = "output"
BOTH = (INPUT, OUTPUT)

ANYTHING = "anything"
TEXTS = "BYTES"
ONE_TEXT = "BYTES [-1]"
IMAGES = "images"
PIXELS = "images or UINT8 values"
NUMBERS = "numbers"
FLOATING = "floating numbers"
WHOLE = "whole numbers"

REQUIRED = object()
"""The default of a parameter that must be given."""


class Kind(NamedTuple):
    """The type of a parameter: in words, and the function that reads it.

    `read` returns the value in the form that the step wants. It raises ValueError: with a text when it can say more
    than that the value must be `words`.
    """

    words: str
    read: Callable[[Any], Any]


class Parameter(NamedTuple):
    name: str
    kind: Kind
    default: Any
    doc: str
    default_words: str = ""
    """How the table shows a default that is None."""


class Given(NamedTuple):
    """What a step is bound with: what comes in, its parameters' values, and the model's folder."""

    flow: Flow
    values: Mapping[str, Any]
    folder: str


class Bound(NamedTuple):
    """A bound step: what comes out, and the function that makes it.

    `outputs` is set by a step that gives several named results: then `apply` returns a dict of arrays by these names,
    and the step must be the last one.
    """

    flow: Flow
    apply: Callable[[Any], Any]
    outputs: Optional[Dict[str, Flow]] = None
    ranking: Optional[Dict[str, str]] = None


class Source(NamedTuple):
    """A bound first step that says what callers send: each input by name, and how they become one value."""

    inputs: Dict[str, Flow]
    flow: Flow
    gather: Callable[[Mapping[str, Array]], Array]


class Step(NamedTuple):
    """One row of the catalogue.

    `main` is the parameter that may be given alone, without a table. A row has `bind`, or `source` when the step says
    what callers send: `source` gets the row's name and the parameters' values.
    """

    name: str
    stages: Tuple[str, ...]
    takes: str
    summary: str
    parameters: Tuple[Parameter, ...] = ()
    main: str = ""
    bind: Optional[Callable[[Given], Bound]] = None
    source: Optional[Callable[[str, Mapping[str, Any]], Source]] = None
