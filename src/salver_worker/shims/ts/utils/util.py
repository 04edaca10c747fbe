"""What handlers import of TorchServe's module of the same name."""

from __future__ import annotations

import inspect
import json
import os
from typing import Any, Dict, List, Mapping, Optional, Sequence

from salver_worker.runtimes.handler_errors import PredictionException as PredictionException


def list_classes_from_module(module: Any, parent_class: Optional[type] = None) -> List[type]:
    """The classes that a module defines itself, those below `parent_class` where one is given."""
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and value.__module__ == module.__name__
        and (parent_class is None or issubclass(value, parent_class))
    ]


def load_label_mapping(mapping_file_path: str) -> Optional[Dict[str, Any]]:
    """The labels of an archive's index_to_name.json, by class; None where it has none."""
    if not os.path.isfile(mapping_file_path):
        return None
    with open(mapping_file_path, encoding="utf-8") as file:
        mapping = json.load(file)
    if not isinstance(mapping, dict):
        raise ValueError('index_to_name mapping should be in "class":"label" json format')
    mapping = mapping.get("object_type_names", mapping)
    if isinstance(mapping, list):
        mapping = {str(place): name for place, name in enumerate(mapping)}
    return {key: value[-1] if isinstance(value, list) else value for key, value in mapping.items()}


def map_class_to_label(
    probs: Sequence[Sequence[float]],
    mapping: Optional[Mapping[str, Any]] = None,
    lbl_classes: Optional[Sequence[Sequence[int]]] = None,
) -> List[Dict[str, float]]:
    """A probability for each label, or for each class where there are no labels."""
    classes = lbl_classes or [list(range(len(row))) for row in probs]
    labels = mapping or {}
    return [
        {str(labels.get(str(name), name)): probability for name, probability in zip(names, row)}
        for names, row in zip(classes, probs)
    ]
