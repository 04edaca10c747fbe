"""An answer as bytes, in which nothing that a model's code said can begin another header or another answer."""

from __future__ import annotations

import re
from http import HTTPStatus

from salver.operations.base import Answer

PHRASES = {status.value: status.phrase for status in HTTPStatus}
BODILESS = frozenset({204, 304})
MAX_KEPT = 256
FRAMING = frozenset(
    {"connection", "content-length", "date", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"}
    | {"upgrade"}
)
"""What says where an answer ends and whether another may follow: the edge's own affair."""
HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_heads: dict[tuple[int, str | None, str | None], bytes] = {}
_starts: dict[str, str] = {}


def render(answer: Answer, date: bytes, close: bool, is_head: bool = False) -> bytes:
    """The whole answer, or only its head; `date` is the finished line."""
    head = render_beginning(answer, date, close)
    if answer.status in BODILESS:
        return head + b"\r\n"
    body = answer.body
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), b"" if is_head else body)


def render_beginning(answer: Answer, date: bytes, close: bool = False) -> bytes:
    """The answer up to the length of its body."""
    key = (answer.status, answer.content_type, answer.phrase)
    head = _heads.get(key)
    if head is None:
        head = _status_and_type(*key)
        if len(_heads) < MAX_KEPT:
            _heads[key] = head
    if answer.headers or close:
        lines = "".join([f"{name}: {value}\r\n" for name, value in safe_headers(answer.headers)])
        if close:
            lines += "connection: close\r\n"
        head += lines.encode("latin-1", "replace")
    return head + date


def safe_headers(headers: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """Those that HTTP allows and that do not say where the answer ends, their values on one line."""
    kept: list[tuple[str, str]] = []
    for name, value in headers:
        sent_as = _starts.get(name)
        if sent_as is None:
            sent_as = _learn(name)
        if sent_as:
            kept.append((sent_as, value if value.isprintable() else one_line(value)))
    return kept


def _learn(name: str) -> str:
    """The name as it is sent; empty when it is not."""
    is_fit = HEADER_NAME.fullmatch(name) is not None and name.lower() not in FRAMING
    sent_as = name if is_fit else ""
    if len(_starts) < MAX_KEPT:
        _starts[name] = sent_as
    return sent_as


def _status_and_type(status: int, content_type: str | None, phrase: str | None) -> bytes:
    text = PHRASES.get(status, "") if phrase is None else one_line(phrase)
    head = f"HTTP/1.1 {status} {text}\r\n"
    if content_type is not None:
        head += f"content-type: {one_line(content_type)}\r\n"
    return head.encode("latin-1", "replace")


def one_line(value: str) -> str:
    """The text with spaces for what is no printable character: line ends among them."""
    return "".join([letter if letter.isprintable() else " " for letter in value])
