"""Model archives in real workers: the handler contract of MXNet Model Server and TorchServe."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver_worker import frames

Archive = Callable[..., Path]
JSON = "application/json"


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    """Writes an unpacked archive: its handler's source, the handler's name, and other files."""

    def archive(
        source: str, handler: str = "service.py:handle", files: dict[str, str] | None = None, **model: Any
    ) -> Path:
        folder = tmp_path / "archive"
        (folder / "MAR-INF").mkdir(parents=True)
        manifest = {"runtime": "python", "model": {"modelName": "m", "handler": handler, **model}}
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
        for name, text in {"service.py": textwrap.dedent(source), **(files or {})}.items():
            (folder / name).write_text(text)
        return folder

    return archive


@pytest.fixture
def serve(start_worker: Callable[..., Any], archive: Archive) -> Callable[..., Any]:
    """A worker that serves the handler, with a link."""

    def serve(source: str, *, load: dict[str, Any] | None = None, **options: Any) -> Any:
        worker = start_worker()
        answer = worker.load("mar", archive(source, **options), **(load or {}))
        assert answer.verb == frames.READY, answer.header
        worker.ready = answer.header
        worker.link = worker.attach()
        return worker

    return serve


@pytest.fixture
def refuse(start_worker: Callable[..., Any], archive: Archive) -> Callable[..., Any]:
    def refuse(source: str, *, load: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
        worker = start_worker()
        answer = worker.load("mar", archive(source, **options), **(load or {}))
        assert answer.verb == frames.FAILED, answer.header
        assert worker.wait() == 3
        header: dict[str, Any] = answer.header
        return header

    return refuse


def body(data: bytes, content_type: str = "") -> list[tuple[str, str, bytes]]:
    return [("body", content_type, data)]


def texts(answer: Any) -> list[str]:
    assert answer.verb == frames.RESULT, answer.header
    return [data.decode() for _, data in answer.responses]


ECHO = """
    def handle(data, context):
        if data is None:
            return None
        return [repr(sorted(row.items())) for row in data]
"""


def test_a_body_runtime_says_so(serve: Any) -> None:
    ready = serve(ECHO).ready
    assert ready["payload"] == "body"
    assert ready["signatures"] == {"serving_default": {"inputs": [], "outputs": [], "ranking": None}}
    assert ready["details"] == {"handler": "service.py:handle"}
    assert ready["is_idempotent"] is False


@pytest.mark.parametrize(
    ("content_type", "data", "seen"),
    [
        (JSON, b'{"a": [1.5]}', "{'a': [1.5]}"),
        ("application/json; charset=utf-8", b"[1]", "[1]"),
        ("text/plain", "é".encode(), "'é'"),
        ("text/csv", b"1,2", "'1,2'"),
        ("", b"plain", "bytearray(b'plain')"),
        ("image/jpeg", b"\xff\xd8", "bytearray(b'\\xff\\xd8')"),
        ("application/octet-stream", b"", "bytearray(b'')"),
    ],
)
def test_parts_are_decoded_by_their_content_type(serve: Any, content_type: str, data: bytes, seen: str) -> None:
    assert texts(serve(ECHO).link.ask(body(data, content_type))) == [f"[('body', {seen})]"]


def test_each_field_of_a_form_is_a_key_and_the_last_of_a_name_counts(serve: Any) -> None:
    parts = [("data", "image/png", b"1"), ("k", "", b"2"), ("data", "", b"3")]
    assert texts(serve(ECHO).link.ask(parts)) == ["[('data', bytearray(b'3')), ('k', bytearray(b'2'))]"]


@pytest.mark.parametrize(("content_type", "data"), [(JSON, b"{"), (JSON, b"\xff"), ("text/plain", b"\xff")])
def test_a_body_that_is_not_what_it_claims_is_the_callers_error(serve: Any, content_type: str, data: bytes) -> None:
    link = serve(ECHO).link
    header = link.ask(body(data, content_type)).header
    assert (header["code"], header["message"]) == ("INVALID_INPUT", f"the part body is not valid {content_type}")
    assert texts(link.ask(body(b"1", JSON))) == ["[('body', 1)]"]


def test_a_batch_is_a_list_of_requests(serve: Any) -> None:
    answer = serve(ECHO).link.ask(body(b"1", JSON), body(b"2", JSON), body(b"3", JSON))
    assert texts(answer) == ["[('body', 1)]", "[('body', 2)]", "[('body', 3)]"]
    assert [row for row, _ in answer.responses] == [
        {"status": 200, "phrase": "", "headers": {}, "content_type": None, "size": 13}
    ] * 3


def test_what_a_handler_returns_is_sent_as_it_is_or_as_json(serve: Any) -> None:
    worker = serve(
        """
        def handle(data, context):
            return data and [b"bytes", bytearray(b"array"), "text é", {"a": [1, None]}, 1.5]
        """
    )
    answers = texts(worker.link.ask(*[body(b"")] * 5))
    assert answers == ["bytes", "array", "text é", '{\n  "a": [\n    1,\n    null\n  ]\n}', "1.5"]


FAILURES = """
    from mms.service import PredictionException
    from salver_worker import InputError
    class Unwritable: pass
    def handle(data, context):
        if data is None:
            return
        kind = data[0]["body"]
        if kind == "exception": raise ValueError("secret")
        if kind == "cuda": raise RuntimeError("CUDA error: device lost")
        if kind == "memory": raise MemoryError
        if kind == "prediction": raise PredictionException("bad picture", 422)
        if kind == "prediction 500": raise PredictionException("bad picture")
        if kind == "input": raise InputError("the picture is empty")
        return {"no list": (1,), "too many": [1, 2], "unwritable": [Unwritable()], "cyclic": cyclic()}[kind]
    def cyclic():
        a = []
        a.append(a)
        return [a]
"""


@pytest.mark.parametrize(
    ("kind", "code", "message", "status"),
    [
        ("exception", "MODEL_ERROR", "Prediction failed", 503),
        ("cuda", "OUT_OF_MEMORY", "Out of resources", 507),
        ("memory", "OUT_OF_MEMORY", "Out of resources", 507),
        ("prediction", "MODEL_ERROR", "bad picture", 422),
        ("prediction 500", "MODEL_ERROR", "bad picture", 500),
        ("input", "INVALID_INPUT", "the picture is empty", None),
        ("no list", "MODEL_ERROR", "Invalid model predict output", 503),
        ("too many", "MODEL_ERROR", "number of batch response mismatched", 503),
        ("unwritable", "MODEL_ERROR", "Unsupported model output data type.", 503),
        ("cyclic", "MODEL_ERROR", "Unsupported model output data type.", 503),
    ],
)
def test_failures_are_told_in_the_words_of_mms(serve: Any, kind: str, code: str, message: str, status: int) -> None:
    link = serve(FAILURES).link
    answer = link.ask(body(kind.encode(), "text/plain"))
    assert answer.verb == frames.ERROR
    assert (answer.header["code"], answer.header["message"]) == (code, message)
    assert answer.header.get("status") == status
    assert ("secret" in answer.header["detail"]) == (kind == "exception")
    assert link.ask(body(b"exception", "text/plain")).verb == frames.ERROR


def test_a_handler_sets_status_and_headers_of_each_answer(serve: Any) -> None:
    worker = serve(
        """
        def handle(data, context):
            if data is None:
                return
            context.set_all_response_status(202, "Taken")
            context.set_response_status(code=404, phrase="Nothing Here", idx=1)
            context.set_response_content_type(0, "text/plain")
            context.set_response_header(1, "X-Count", 3)
            assert context.get_response_status(1) == (404, "Nothing Here")
            assert context.get_response_content_type(0) == "text/plain"
            assert context.get_response_headers(1) == {"X-Count": 3}
            return ["a", "b"]
        """
    )
    rows = [row for row, _ in worker.link.ask(body(b""), body(b"")).responses]
    taken = {"status": 202, "phrase": "Taken", "headers": {}, "content_type": "text/plain", "size": 1}
    missing = {"status": 404, "phrase": "Nothing Here", "headers": {"X-Count": "3"}, "content_type": None, "size": 1}
    assert rows == [taken, missing]
    again = worker.link.ask(body(b""), body(b"")).responses[0][0]
    assert again == taken


def test_a_handler_sees_the_requests_headers(serve: Any) -> None:
    worker = serve(
        """
        def handle(data, context):
            if data is None:
                return
            return [{
                "id": context.get_request_id(idx),
                "all ids": context.request_ids,
                "agent": context.get_request_header(idx, "User-Agent"),
                "other case": context.get_request_header(idx, "user-agent"),
                "path": context.get_request_header(idx, "url_path"),
                "part": context.get_all_request_header(idx)["body"],
                "processors": len(context.request_processor),
                "same": context.request_processor[idx].get_request_property("User-Agent"),
            } for idx in range(len(data))]
        """
    )
    headers = {"User-Agent": "curl/8", "url_path": "extra/path"}
    answer = worker.link.ask(body(b"1", JSON), body(b"2", JSON), headers=headers)
    assert json.loads(texts(answer)[1]) == {
        "id": "request-1",
        "all ids": {"0": "request-0", "1": "request-1"},
        "agent": "curl/8",
        "other case": None,
        "path": "extra/path",
        "part": {"content-type": JSON},
        "processors": 2,
        "same": "curl/8",
    }


def test_a_handler_knows_its_model(serve: Any, tmp_path: Path) -> None:
    worker = serve(
        """
        import os, sys
        def handle(data, context):
            return data and [[context.model_name, context.manifest["model"]["modelVersion"], context.system_properties,
                              context.model_yaml_config, os.getcwd(), sys.path[0]]]
        """,
        load={"batch_rows": 8, "archive_config": {"minWorkers": 1, "handler": {"labels": ["cat", "dog"]}}},
        modelVersion="1.2",
    )
    folder = str(tmp_path / "archive")
    name, version, properties, config, cwd, first = json.loads(texts(worker.link.ask(body(b"")))[0])
    assert (name, version, cwd, first) == ("m", "1.2", folder, folder)
    assert config == {"minWorkers": 1, "handler": {"labels": ["cat", "dog"]}}
    assert properties == {
        "model_dir": folder,
        "gpu_id": None,
        "batch_size": 8,
        "server_name": "MMS",
        "server_version": "1.1.11",
        "limit_max_image_pixels": True,
    }


def test_metrics_are_written_as_log_lines(serve: Any) -> None:
    worker = serve(
        """
        def handle(data, context):
            if data is None:
                return
            context.metrics.add_counter("Words", 2, 0)
            context.metrics.add_counter("Words", 1, 0)
            context.metrics.add_time("HandlerTime", 12.3)
            return data
        """
    )
    worker.link.ask(body(b"1", JSON), body(b"2", JSON))
    words, time = worker.log.splitlines()  # none of the prediction's own time: it is in the metrics
    assert words.startswith("Words.Count:3|#ModelName:m,Level:Model|#hostname:")
    assert words.endswith(",request-0")
    assert time.startswith("HandlerTime.Milliseconds:12.3|#ModelName:m,Level:Model|#hostname:")
    assert time.endswith(",request-0,request-1")


CLASS = """
    from base import Base
    class Service(Base):
        def initialize(self, context):
            self.name = context.model_name
        def handle(self, data, context):
            return [self.name for _ in data]
"""


@pytest.mark.parametrize("handler", ["service", "service.py", "service:handle", "some/folder/service.py:handle"])
def test_the_only_class_of_a_module_is_the_handler(serve: Any, handler: str) -> None:
    worker = serve(CLASS, handler=handler, files={"base.py": "class Base: pass"})
    assert texts(worker.link.ask(body(b""), body(b""))) == ["m", "m"]


def test_a_function_is_told_to_load_once_and_may_have_any_name(serve: Any) -> None:
    worker = serve(
        """
        calls = []
        class Helper: pass
        class Other: pass
        def start(data, context):
            calls.append(data)
            return data and [calls[:1]]
        """,
        handler="service:start",
    )
    assert texts(worker.link.ask(body(b""))) == ["[\n  null\n]"]


def test_the_manifest_may_name_another_handler(serve: Any) -> None:
    source = "def handle(data, context): return None\ndef second(data, context): return data and ['second']"
    assert texts(serve(source, load={"handler": "service:second"}).link.ask(body(b""))) == ["second"]


def test_an_archive_without_a_manifest_needs_a_handlers_name(start_worker: Any, tmp_path: Path) -> None:
    (tmp_path / "service.py").write_text("def handle(data, context): return data and ['ok']")
    worker = start_worker()
    assert worker.load("mar", tmp_path, handler="service").verb == frames.READY
    assert texts(worker.attach().ask(body(b""))) == ["ok"]
    assert start_worker().load("mar", tmp_path).header["message"] == "nothing names the archive's handler"


def test_what_handlers_import_from_their_server_is_there(serve: Any) -> None:
    source = """
        from mms.context import Context, RequestProcessor
        from mms.metrics.dimension import Dimension
        from mms.service import PredictionException
        import ts.context, ts.metrics.dimension, ts.service
        from ts.utils.util import PredictionException as Same
        assert Same is PredictionException
        def handle(data, context):
            context.metrics.add_percent("Load", 50, dimensions=[Dimension("Level", "Host")])
            return data and [isinstance(context, Context)]
    """
    worker = serve(source)
    assert texts(worker.link.ask(body(b""))) == ["true"]
    assert "Load.Percent:50|#Level:Host,ModelName:m,Level:Model|" in worker.log


def test_packages_that_are_installed_win_over_ours(serve: Any) -> None:
    files = {"mms.py": "name = 'the real one'"}
    worker = serve("import mms\ndef handle(data, context): return data and [mms.name]", files=files)
    assert texts(worker.link.ask(body(b""))) == ["the real one"]


@pytest.mark.parametrize(
    ("source", "options", "code", "message"),
    [
        (
            "class A: pass\nclass B: pass",
            {},
            "LOAD_FAILED",
            "the handler's module must have a function `handle` or exactly one class; it has: A, B",
        ),
        (
            "x = 1",
            {},
            "LOAD_FAILED",
            "the handler's module must have a function `handle` or exactly one class; it has: neither",
        ),
        ("class A: pass", {}, "LOAD_FAILED", "the handler's class A has no method `handle`"),
        (
            "class A:\n    def initialize(self, context): raise OSError('no weights')\n    def handle(self, d, c): ...",
            {},
            "LOAD_FAILED",
            "loading raised OSError: no weights",
        ),
        ("def handle(data, context): raise KeyError('labels')", {}, "LOAD_FAILED", "loading raised KeyError: 'labels'"),
        ("import cv_nowhere", {}, "ENVIRONMENT_BROKEN", "the module cv_nowhere is not installed"),
        ("", {"handler": "missing.py"}, "LOAD_FAILED", "the archive has no file missing.py"),
        ("", {"handler": "image_classifier"}, "ENVIRONMENT_BROKEN", "the module torch is not installed"),
        ("", {"handler": ""}, "LOAD_FAILED", "nothing names the archive's handler"),
        (
            "from ts.torch_handler.base_handler import BaseHandler",
            {},
            "ENVIRONMENT_BROKEN",
            "the module torch is not installed",
        ),
        (
            "from mms.model_service.mxnet_model_service import MXNetBaseService",
            {},
            "ENVIRONMENT_BROKEN",
            "the module mxnet is not installed",
        ),
        ("", {"files": {"MAR-INF/MANIFEST.json": "{"}}, "LOAD_FAILED", "MAR-INF/MANIFEST.json is not JSON"),
        ("", {"files": {"MAR-INF/MANIFEST.json": "[]"}}, "LOAD_FAILED", "MAR-INF/MANIFEST.json is not a JSON object"),
        (
            ECHO,
            {"load": {"inputs": [{"name": "x", "convert": []}]}},
            "MANIFEST_INVALID",
            "a handler converts its own inputs",
        ),
        (
            ECHO,
            {"load": {"outputs": [{"name": "x", "convert": []}]}},
            "MANIFEST_INVALID",
            "a handler converts its own outputs",
        ),
    ],
)
def test_an_archive_that_cannot_be_served_says_why(
    refuse: Any, source: str, options: dict[str, Any], code: str, message: str
) -> None:
    header = refuse(source, **options)
    assert header["code"] == code
    assert header["message"].startswith(message)


def test_what_a_handler_needs_of_torchserve_is_named_with_the_way_out(refuse: Any) -> None:
    header = refuse("from ts.metrics.system_metrics import collect_all")
    assert (
        header["fix"] == "Install torchserve and torch into the model's environment, or write the handler without it."
    )


def test_an_archives_example_is_run_at_load(serve: Any, refuse: Any) -> None:
    example = {"inputs": {"body": {"a": 1}}, "expect": {"body": {"a": 1}}}
    source = "def handle(data, context): return data and [row['body'] for row in data]"
    assert serve(source, load={"example": example}).ready["example_s"] >= 0


def test_an_archive_whose_example_fails_does_not_go_live(refuse: Any) -> None:
    example = {"inputs": {"body": {"a": 1}}, "expect": {"body": {"a": 2}}}
    source = "def handle(data, context): return data and [row['body'] for row in data]"
    assert refuse(source, load={"example": example})["code"] == "EXAMPLE_MISMATCH"


def test_parts_that_are_longer_than_the_body_cost_the_link(serve: Any) -> None:
    worker = serve(ECHO)
    rows = [{"id": "a", "headers": {}, "parts": [["body", "", 10]]}]
    worker.link.send(frames.PREDICT, 1, {"requests": rows}, b"short")
    with pytest.raises((EOFError, ConnectionResetError)):
        worker.link.receive()
    assert "longer than its body" in worker.log
