"""Names of classes: where they are read from, and the step that puts them in the place of numbers."""

import json
from typing import Any, Dict, List, NamedTuple, Sequence, Union

import numpy as np

from salver_worker.arrays import bytes_array
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Array
from salver_worker.conversions.folder import lines_of, read_text
from salver_worker.conversions.kinds import is_list_of, is_name, refuse_unless
from salver_worker.conversions.names import closest
from salver_worker.conversions.step import OUTPUT, REQUIRED, WHOLE, Bound, Given, Kind, Parameter, Step


class Labels(NamedTuple):
    """Names by class number. `source` says where they come from, for messages."""

    source: str
    names: Dict[int, str]

    def number_of(self, name: str) -> int:
        for number, known in self.names.items():
            if known == name:
                return number
        raise StepError('"%s" is not in %s%s' % (name, self.source, closest(name, self.names.values())), "name")

    def in_order(self, classes: int) -> Array:
        """All names as BYTES, the first for class 0. With `classes` known (not -1) there must be that many."""
        count = len(self.names)
        if classes not in (-1, count):
            message = "%s has %d labels but the output has %d classes" % (self.source, count, classes)
            raise StepError(message, "labels", "Use the label file that belongs to this model.")
        if set(self.names) != set(range(count)):
            raise StepError("%s has numbers other than 0 to %d" % (self.source, count - 1), "labels")
        return bytes_array([self.names[number] for number in range(count)], (count,))


def read_labels(folder: str, declared: Union[str, List[str], Dict[str, str]]) -> Labels:
    """Labels from a file of the folder, or as the manifest itself lists them. Raises StepError."""
    if isinstance(declared, str):
        text = read_text(folder, declared, "labels")
        names = _from_json(text, declared) if declared.endswith(".json") else _from_lines(text, declared)
        return Labels(declared, names)
    table = declared if isinstance(declared, dict) else _numbered(declared)
    return Labels("the list of labels", _by_number(table, "the list of labels"))


def _numbered(names: Sequence[Any]) -> Dict[str, Any]:
    return {str(number): name for number, name in enumerate(names)}


def _from_lines(text: str, file: str) -> Dict[int, str]:
    names = {number: line.strip() for number, line in enumerate(lines_of(text))}
    for number, name in names.items():
        if not name:
            raise StepError(
                "%s has no label on line %d" % (file, number + 1), "labels", "Write one label on each line."
            )
    return _not_empty(names, file)


def _from_json(text: str, file: str) -> Dict[int, str]:
    """A list of names, or a form of TorchServe's index_to_name.json.

    These are {number: name}, {number: [id, name]} (the name counts) and {"object_type_names": [names]}.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise StepError("%s is not JSON: %s" % (file, error), "labels") from error
    if isinstance(document, dict) and isinstance(document.get("object_type_names"), list):
        document = document["object_type_names"]
    if isinstance(document, list):
        document = _numbered(document)
    if not isinstance(document, dict):
        raise StepError("%s must hold a JSON object of number and name" % file, "labels")
    return _by_number(document, file)


def _by_number(table: Dict[str, Any], source: str) -> Dict[int, str]:
    names: Dict[int, str] = {}
    for key, value in table.items():
        name = value[-1] if is_list_of(is_name, value) else value
        if not (_is_class_number(key) and int(key) not in names and is_name(name)):
            message = "%s: %s is not a class number with its name" % (source, json.dumps({key: value})[:80])
            raise StepError(message, "labels", 'Write {"0": "first label", "1": "second label"}.')
        names[int(key)] = name
    return _not_empty(names, source)


def _is_class_number(key: str) -> bool:
    return key.isascii() and key.isdigit() and len(key) < 10


def _not_empty(names: Dict[int, str], source: str) -> Dict[int, str]:
    if not names:
        raise StepError("%s has no labels" % source, "labels")
    return names


def _read_labels(value: Any) -> Any:
    named = list(value.values()) if isinstance(value, dict) else value
    refuse_unless(is_name(named) or is_list_of(is_name, named))
    return value


LABELS = Kind("a file in the model's folder, a list of names, or a table of number = name", _read_labels)


def _bind_label(given: Given) -> Bound:
    labels = read_labels(given.folder, given.values["labels"])
    numbers = sorted(labels.names)
    names = bytes_array([labels.names[number] for number in numbers], (len(numbers),))
    known = np.array(numbers, dtype=np.int64)

    def label(array: Array) -> Array:
        places = np.minimum(np.searchsorted(known, array), len(known) - 1)
        missing = known[places] != array
        if missing.any():
            raise RowError("class %d has no name in %s" % (array[missing][0], labels.source))
        return names[places]

    return Bound(given.flow._replace(datatype="BYTES"), label)


STEPS = (
    Step(
        name="label",
        stages=(OUTPUT,),
        takes=WHOLE,
        summary="The name of each class number.",
        parameters=(Parameter("labels", LABELS, REQUIRED, "Where the names stand."),),
        main="labels",
        bind=_bind_label,
    ),
)
