"""All steps there are. A new step is a row in the file of its family; a new family is a line here."""

from typing import Any, List, Tuple

from salver_worker.conversions import (
    colours,
    crop,
    images,
    labels,
    numbers,
    resize,
    scores,
    shapes,
    sources,
    tables,
    text,
    vocabulary,
)
from salver_worker.conversions.errors import ConversionError
from salver_worker.conversions.names import closest, listed
from salver_worker.conversions.step import Step

STEPS: Tuple[Step, ...] = (
    *sources.STEPS,
    *images.STEPS,
    *resize.STEPS,
    *crop.STEPS,
    *colours.STEPS,
    *tables.STEPS,
    *text.STEPS,
    *vocabulary.STEPS,
    *numbers.STEPS,
    *shapes.STEPS,
    *scores.STEPS,
    *labels.STEPS,
)


def find_step(name: str, stage: str, where: List[Any]) -> Step:
    """The step of this name for inputs or outputs. Raises ConversionError that suggests what was meant."""
    found = next((step for step in STEPS if step.name == name), None)
    known = [step.name for step in STEPS if stage in step.stages]
    fix = "The steps for %ss: %s." % (stage, listed(known))
    if found is None:
        raise ConversionError('there is no step "%s"%s' % (name, closest(name, known)), where, fix)
    if stage not in found.stages:
        raise ConversionError("%s works on %ss, not on %ss" % (name, found.stages[0], stage), where, fix)
    return found
