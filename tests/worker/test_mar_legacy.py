"""Archives of MMS 0.4 in real workers, and what a start-up line changes for handlers."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from salver_worker import frames

JSON = "application/json"
MANIFEST = {
    "Engine": {"MXNet": 0.12},
    "Model-Archive-Version": 0.1,
    "Model": {"Service": "net_service.py", "Signature": "signature.json", "Model-Name": "net"},
}
SIGNATURE = {
    "inputs": [{"data_name": "numbers", "data_shape": [0, 3]}],
    "input_type": JSON,
    "outputs": [{"data_name": "sum", "data_shape": [0, 1]}],
    "output_type": JSON,
}
SERVICE = """
    import numpy as np
    from mms.model_service.model_service import SingleNodeService

    def helper(): ...

    class Weights: ...

    class SumService(SingleNodeService):
        def __init__(self, model_name, model_dir, manifest, gpu=None):
            super().__init__(model_name, model_dir, manifest, gpu)
            self.told = [model_name, manifest["Model"]["Service"], gpu]

        def _preprocess(self, data):
            return [np.array(item) for item in data]

        def _inference(self, data):
            return [item.sum() for item in data]

        def _postprocess(self, data):
            return {"sum": float(data[0]), "told": self.told, "outputs": self.signature()["outputs"][0]["data_name"]}
"""
VISION = """
    import io
    import numpy as np
    from PIL import Image
    from mms.model_service.model_service import SingleNodeService
    from mms.utils.mxnet import ndarray

    class VisionService(SingleNodeService):
        def _preprocess(self, data):
            height, width = self.signature()["inputs"][0]["data_shape"][2:]
            picture = Image.open(io.BytesIO(data[0])).convert("RGB").resize((width, height))
            return [np.asarray(picture, dtype="float32").transpose(2, 0, 1)[np.newaxis]]

        def _inference(self, data):
            return [data[0].mean(axis=(2, 3))]

        def _postprocess(self, data):
            return [ndarray.top_probability(data[0], ["n01 red", "n02 green", "n03 blue"], top=2)]
"""


@pytest.fixture
def serve(start_worker: Any, tmp_path: Path) -> Any:
    def serve(source: str, signature: dict[str, Any] = SIGNATURE, **load: Any) -> Any:
        folder = tmp_path / "archive"
        folder.mkdir()
        (folder / "MANIFEST.json").write_text(json.dumps(MANIFEST))
        (folder / "signature.json").write_text(json.dumps(signature))
        (folder / "net_service.py").write_text(textwrap.dedent(source))
        worker = start_worker()
        worker.answer = worker.load("mar", folder, **load)
        worker.link = worker.attach() if worker.answer.verb == frames.READY else None
        return worker

    return serve


def ask(worker: Any, name: str, data: bytes, content_type: str = "") -> Any:
    answer = worker.link.ask([(name, content_type, data)])
    return json.loads(bytes(answer.responses[0][1])) if answer.verb == frames.RESULT else answer.header


def test_the_first_service_of_the_file_answers(serve: Any) -> None:
    worker = serve(SERVICE)
    assert worker.answer.verb == frames.READY, worker.answer.header
    assert ask(worker, "numbers", b"[1, 2, 3.5]") == {
        "sum": 6.5,
        "told": ["m", "net_service.py", None],
        "outputs": "sum",
    }


@pytest.mark.parametrize("name", ["numbers", "body", "data"])
def test_the_input_is_found_under_its_own_name_and_two_others(serve: Any, name: str) -> None:
    assert ask(serve(SERVICE), name, b"[1]")["sum"] == 1


@pytest.mark.parametrize("raw", [b"(1, 2)", b"[1, 2]"])
def test_text_is_read_as_a_literal_of_python(serve: Any, raw: bytes) -> None:
    assert ask(serve(SERVICE), "numbers", raw)["sum"] == 3


def test_json_that_was_decoded_already_is_taken_as_it_is(serve: Any) -> None:
    assert ask(serve(SERVICE), "body", b"[1, 2]", JSON)["sum"] == 3


@pytest.mark.parametrize("raw", [b"[1,", b"__import__('os')", b"\xff", b"(" * 100_000])
def test_text_that_is_none_is_the_callers_mistake(serve: Any, raw: bytes) -> None:
    worker = serve(SERVICE)
    header = ask(worker, "numbers", raw)
    assert (header["code"], header["message"]) == ("INVALID_INPUT", "the input is not valid application/json")
    assert ask(worker, "numbers", b"[1]")["sum"] == 1


def test_a_picture_gets_its_most_probable_labels(serve: Any) -> None:
    import io

    from PIL import Image

    raw = io.BytesIO()
    Image.new("RGB", (8, 8), (10, 200, 90)).save(raw, "PNG")
    signature = {**SIGNATURE, "input_type": "image/jpeg", "inputs": [{"data_name": "data", "data_shape": [0, 3, 4, 4]}]}
    assert ask(serve(VISION, signature), "data", raw.getvalue()) == [
        {"probability": 200.0, "class": "n02 green"},
        {"probability": 90.0, "class": "n03 blue"},
    ]


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("class Other: ...", "LOAD_FAILED", "the service file net_service.py has no class that descends from"),
        ("import mxnet_nowhere", "ENVIRONMENT_BROKEN", "the module mxnet_nowhere is not installed"),
        (
            "from mms.model_service.mxnet_vision_service import MXNetVisionService",
            "ENVIRONMENT_BROKEN",
            "the module mxnet is not installed",
        ),
    ],
)
def test_a_service_that_cannot_be_loaded_says_why(serve: Any, source: str, code: str, message: str) -> None:
    header = serve(source).answer.header
    assert header["code"] == code
    assert header["message"].startswith(message)


# What a start-up line changes

SHOW = "def handle(data, context): return data and [repr(item) for item in data]"


@pytest.fixture
def show(start_worker: Any, tmp_path: Path) -> Any:
    def show(content_type: str, raw: bytes, source: str = SHOW, **server: Any) -> Any:
        (tmp_path / "service.py").write_text(source)
        worker = start_worker()
        answer = worker.load("mar", tmp_path, server={"handler": "service", **server})
        assert answer.verb == frames.READY, answer.header
        answer = worker.attach().ask([("body", content_type, raw)])
        return bytes(answer.responses[0][1]).decode() if answer.verb == frames.RESULT else answer.header

    return show


def test_the_handler_of_the_configuration_serves_archives_that_name_none(show: Any) -> None:
    assert show(JSON, b'{"a": 1}') == "{'body': {'a': 1}}"


@pytest.mark.parametrize("content_type", [JSON, "text/plain"])
def test_a_handler_may_want_bytes_whatever_they_are(show: Any, content_type: str) -> None:
    assert show(content_type, b"[1]", decode_input=False) == "{'body': bytearray(b'[1]')}"


def test_json_that_is_none_is_refused_by_mms_and_handed_on_by_torchserve(show: Any) -> None:
    assert show(JSON, b"{", dialect="mms")["code"] == "INVALID_INPUT"
    assert show(JSON, b"{", dialect="torchserve") == "{'body': bytearray(b'{')}"


def test_a_handler_is_told_the_version_of_the_server_that_it_was_written_for(show: Any) -> None:
    source = "def handle(data, context): return data and [context.system_properties['server_version']]"
    assert show("", b"", source, dialect="torchserve") == "0.12.0"
    assert show("", b"", source, dialect="mms") == "1.1.11"
