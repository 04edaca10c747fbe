"""center_crop and crop: a part of every image."""

from typing import Any, List, Tuple

from salver_worker.conversions.each_row import each_row
from salver_worker.conversions.errors import RowError, StepError
from salver_worker.conversions.flow import Flow
from salver_worker.conversions.image_kinds import BOX, SQUARE
from salver_worker.conversions.step import IMAGES, INPUT, REQUIRED, Bound, Given, Parameter, Step


def centre_box(have: Tuple[int, int], want: Tuple[int, int]) -> Tuple[int, int, int, int]:
    """Left, top, right and bottom of the middle part. It reaches beyond an image that is smaller."""
    top, left = _offset(have[0], want[0]), _offset(have[1], want[1])
    return left, top, left + want[1], top + want[0]


def _offset(have: int, want: int) -> int:
    """Where the middle part begins, rounded as torchvision does: to even when it is cut, down when it is padded."""
    return round((have - want) / 2) if have >= want else -((want - have) // 2)


def _sized(flow: Flow, height: int, width: int) -> Flow:
    return flow._replace(shape=(flow.shape[0], height, width, flow.shape[3]))


def _bind_center_crop(given: Given) -> Bound:
    size = given.values["size"]

    def crop(images: List[Any]) -> List[Any]:
        return [image.crop(centre_box((image.height, image.width), size)) for image in images]

    return Bound(_sized(given.flow, *size), crop)


def _bind_crop(given: Given) -> Bound:
    top, left, height, width = given.values["box"]

    def crop(image: Any) -> Any:
        if image.height < top + height or image.width < left + width:
            told = (image.height, image.width, top + height, left + width)
            raise RowError("the image is %d x %d, smaller than the %d x %d that the crop reaches to" % told)
        return image.crop((left, top, left + width, top + height))

    known_height, known_width = given.flow.shape[1:3]
    if 0 < known_height < top + height or 0 < known_width < left + width:
        told = (top + height, left + width, known_height, known_width)
        raise StepError("box reaches to %d x %d but the images are %d x %d" % told, "box")
    return Bound(_sized(given.flow, height, width), lambda images: each_row(crop, images))


STEPS = (
    Step(
        name="center_crop",
        stages=(INPUT,),
        takes=IMAGES,
        summary="The middle part of every image; a smaller image gets a black border, as with torchvision.",
        parameters=(Parameter("size", SQUARE, REQUIRED, "Height and width, or one number for a square."),),
        main="size",
        bind=_bind_center_crop,
    ),
    Step(
        name="crop",
        stages=(INPUT,),
        takes=IMAGES,
        summary="The same part of every image; an image that does not reach so far is refused.",
        parameters=(Parameter("box", BOX, REQUIRED, "Where the part begins, and its size."),),
        main="box",
        bind=_bind_crop,
    ),
)
