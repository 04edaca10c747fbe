from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from salver_worker.conversions.errors import ConversionError
from salver_worker.conversions.plan import ConversionPlan

Spec = tuple[str, list[int]]


def spec(name: str, datatype: str, shape: list[int]) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape}


def texts(*values: bytes | str) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    array[:] = [value.encode() if isinstance(value, str) else value for value in values]
    return array


@pytest.fixture
def elements() -> Callable[..., np.ndarray[Any, Any]]:
    """Makes a BYTES tensor of its arguments."""
    return texts


@pytest.fixture
def input_plan(tmp_path: Path) -> Callable[..., ConversionPlan]:
    """Binds the steps of one input `x` to a model that takes `takes`."""

    def bind(steps: Sequence[Any], takes: Spec) -> ConversionPlan:
        signature = {"inputs": [spec("x", *takes)], "outputs": []}
        return ConversionPlan.bind(signature, [{"convert": steps}], [], str(tmp_path))

    return bind


@pytest.fixture
def convert(input_plan: Callable[..., ConversionPlan]) -> Callable[..., np.ndarray[Any, Any]]:
    """What a model that takes `takes` gets of one input after the steps."""

    def run(steps: Sequence[Any], array: np.ndarray[Any, Any], takes: Spec) -> np.ndarray[Any, Any]:
        return input_plan(steps, takes).convert_inputs({"x": array})["x"]

    return run


@pytest.fixture
def output_plan(tmp_path: Path) -> Callable[..., ConversionPlan]:
    """Binds the steps of one output `y` of a model that gives `gives`."""

    def bind(steps: Sequence[Any], gives: Spec) -> ConversionPlan:
        signature = {"inputs": [], "outputs": [spec("y", *gives)]}
        return ConversionPlan.bind(signature, [], [{"convert": steps}], str(tmp_path))

    return bind


@pytest.fixture
def answer(output_plan: Callable[..., ConversionPlan]) -> Callable[..., Any]:
    """What callers get of one output after the steps: the array, or a dict when the steps give several."""

    def run(steps: Sequence[Any], array: np.ndarray[Any, Any], gives: Spec) -> Any:
        answers = output_plan(steps, gives).convert_outputs({"y": array})
        return answers["y"] if list(answers) == ["y"] else answers

    return run


@pytest.fixture
def input_error(input_plan: Callable[..., ConversionPlan]) -> Callable[..., ConversionError]:
    """The error that binding an input's steps raises."""

    def refuse(steps: Any, takes: Spec) -> ConversionError:
        with pytest.raises(ConversionError) as caught:
            input_plan(steps, takes)
        return caught.value

    return refuse


@pytest.fixture
def output_error(output_plan: Callable[..., ConversionPlan]) -> Callable[..., ConversionError]:
    """The error that binding an output's steps raises."""

    def refuse(steps: Any, gives: Spec) -> ConversionError:
        with pytest.raises(ConversionError) as caught:
            output_plan(steps, gives)
        return caught.value

    return refuse


@pytest.fixture
def encoded() -> Callable[..., bytes]:
    """An image's bytes in a format."""

    def encode(image: Image.Image, format: str = "PNG", **options: Any) -> bytes:
        buffer = io.BytesIO()
        image.save(buffer, format, **options)
        return buffer.getvalue()

    return encode


@pytest.fixture
def data() -> Path:
    """The folder of real models and pictures; tests that need it are skipped where it is not."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("SALVER_TEST_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"NO TEST DATA: set SALVER_TEST_DATA to the folder of real models (looked at {folder})")
    return folder
