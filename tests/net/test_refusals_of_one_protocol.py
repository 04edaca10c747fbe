"""What the edge refuses before any protocol reads it: in the words of the port's protocol, where it has only one."""

from __future__ import annotations

import pytest

from salver.errors import Code, RequestError
from salver.net.edge import REFUSAL_CODES, UNREAD


@pytest.mark.parametrize("status", REFUSAL_CODES)
def test_every_protocol_has_words_for_a_request_that_nobody_has_read(running, status: int) -> None:
    for wire in running.front_end.wires.values():
        answer = wire.error(RequestError(Code[REFUSAL_CODES[status]], "cause", fix=""), UNREAD)
        assert answer.status >= 400, wire.name


def test_a_port_for_several_protocols_has_the_servers_own_words(running, connect) -> None:
    raw = b"POST /v1/models/m:predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 999999999999\r\n\r\n"
    answer = connect(running).send(raw).answer()
    assert (answer.status, answer.json["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
