"""Handlers that send intermediate answers, in real workers."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver_worker import frames

STREAMING = """
    from {module} import send_intermediate_predict_response

    def handle(data, context):
        if data is None:
            return None
        for number in range(2):
            chunks = ["%s%d " % (bytes(row["body"]).decode(), number) for row in data]
            send_intermediate_predict_response(chunks, context.request_ids, "Intermediate", 200, context)
        return ["end"] * len(data)
"""
NEW, OLD = "ts.handler_utils.utils", "ts.protocol.otf_message_handler"
ORIGINAL = """
    import struct

    def text(value):
        return struct.pack("!i", len(value)) + value

    def send_intermediate_predict_response(ret, ids, message, code, context):
        raw = struct.pack("!i", code) + text(message.encode())
        for idx in ids:
            context.set_response_header(idx, "ts_stream_next", "true")
            raw += text(ids[idx].encode()) + text(b"text/plain") + struct.pack("!i", 200) + text(b"")
            raw += struct.pack("!i", 1) + text(b"ts_stream_next") + text(b"true") + text(ret[idx].encode())
        context.cl_socket.sendall(raw + struct.pack("!i", -1))
"""
"""What the original's function puts on its socket."""


@pytest.fixture
def serve(start_worker: Callable[..., Any], tmp_path: Path) -> Callable[..., Any]:
    """A link to a worker that serves a handler."""

    def serve(source: str, **files: str) -> Any:
        folder = tmp_path / "archive"
        (folder / "MAR-INF").mkdir(parents=True)
        manifest = {"runtime": "python", "model": {"modelName": "m", "handler": "service.py:handle"}}
        (folder / "MAR-INF" / "MANIFEST.json").write_text(json.dumps(manifest))
        for name, text in {"service": source, **files}.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        worker = start_worker()
        answer = worker.load("mar", folder)
        assert answer.verb == frames.READY, answer.header
        return worker.attach()

    return serve


def request(data: bytes) -> list[tuple[str, str, bytes]]:
    return [("body", "", data)]


@pytest.mark.parametrize("module", [NEW, OLD])
def test_parts_go_to_those_who_take_them_and_are_kept_for_the_others(module: str, serve: Callable[..., Any]) -> None:
    link = serve(STREAMING.format(module=module))
    link.send_requests(request(b"a"), request(b"b"), request(b"c"), takers=(0, 2))
    parts, last = link.receive_parts()
    told = [(part.header["request"], part.responses[0][1]) for part in parts]
    assert told == [(0, b"a0 "), (2, b"c0 "), (0, b"a1 "), (2, b"c1 ")]
    assert parts[0].responses[0][0]["headers"] == {"ts_stream_next": "true"}
    assert [data for _, data in last.responses] == [b"end", b"b0 b1 end", b"end"]
    headers = [row["headers"] for row, _ in last.responses]
    assert headers == [{"ts_stream_next": "false"}, {}, {"ts_stream_next": "false"}]


def test_the_originals_own_function_where_it_is_installed(serve: Callable[..., Any]) -> None:
    link = serve(STREAMING.format(module="originals"), originals=ORIGINAL)
    link.send_requests(request(b"a"), request(b"b"), takers=(0, 1))
    parts, last = link.receive_parts()
    told = [(part.header["request"], part.responses[0][1]) for part in parts]
    assert told == [(0, b"a0 "), (1, b"b0 "), (0, b"a1 "), (1, b"b1 ")]
    assert last.verb == frames.RESULT


def test_of_several_processes_the_first_one_sends(serve: Callable[..., Any]) -> None:
    source = "    import os\n    os.environ['LOCAL_RANK'] = '1'\n" + STREAMING.format(module=NEW)
    link = serve(source)
    link.send_requests(request(b"a"), takers=(0,))
    parts, last = link.receive_parts()
    assert (parts, [data for _, data in last.responses]) == ([], [b"end"])


def test_a_part_belongs_to_a_batch_that_runs(serve: Callable[..., Any]) -> None:
    link = serve(
        """
        from ts.handler_utils.utils import send_intermediate_predict_response

        kept = []

        def handle(data, context):
            if data is None:
                kept.append(context)
                try:
                    send_intermediate_predict_response(["a"], {0: "id"}, "", 200, context)
                except RuntimeError as error:
                    kept.append(str(error))
                return None
            return [kept[1]]
        """
    )
    link.send_requests(request(b""))
    assert b"has at the moment" in link.receive().responses[0][1]
