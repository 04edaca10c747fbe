"""Form bodies, taken apart under limits: the work is bounded by the size of the body, whatever the bytes are."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from salver.errors import Code, RequestError
from salver.serving.payload import bare_media_type

MAX_FIELDS = 100
MAX_NAME_BYTES = 1024
EPILOGUE_BYTES = 2
"""The line end that clients write behind the last boundary; whatever else follows it is not read."""
PLAIN_ENCODINGS = frozenset({b"", b"7bit", b"8bit", b"binary"})


class Field(NamedTuple):
    """One field. `content_type` is the bare type as it was sent; `is_file` when it came with a file name."""

    name: str
    content_type: str
    data: bytes
    is_file: bool = False


def parse_urlencoded(body: bytes) -> list[Field]:
    """The fields of ``application/x-www-form-urlencoded``, and of a query. Raises RequestError(INVALID_INPUT)."""
    if body.count(b"&") >= MAX_FIELDS:
        raise too_many_fields()
    fields = []
    for pair in body.split(b"&"):
        if pair:
            name, _, value = pair.replace(b"+", b" ").partition(b"=")
            fields.append(Field(text_name(unquote_to_bytes(name)), "", unquote_to_bytes(value)))
    return fields


def parse_multipart(body: bytes, content_type: str) -> list[Field]:
    """The fields of ``multipart/form-data``, in order. Raises RequestError(INVALID_INPUT)."""
    boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
    if not boundary:
        raise malformed("its Content-Type names no boundary")
    end = end_of_form(body, b"--" + boundary)
    collector = Collector()
    try:
        MultipartParser(
            boundary,
            {
                "on_part_begin": collector.begin,
                "on_header_field": collector.header_name,
                "on_header_value": collector.header_value,
                "on_part_data": collector.data,
                "on_part_end": collector.end,
                "on_end": collector.finish,
            },
        ).write(body if len(body) - end <= EPILOGUE_BYTES else body[:end])
    except FormParserError as error:
        raise malformed("one of its fields has no proper headers") from error
    if not collector.is_finished:
        raise malformed("it ends in the middle of a field")
    return collector.fields


def end_of_form(body: bytes, delimiter: bytes) -> int:
    """Where the form ends, behind its last delimiter. Holds it to its limits before the parser sees it.

    RFC 2046 forbids the delimiter at the beginning of a line within a field, so each one must end its line or the form.
    The parser would look at anything else byte by byte; held to this, its work is a few searches for each field.
    """
    if not body.startswith((delimiter, b"\r\n" + delimiter)):
        raise malformed("it does not begin with the boundary that its Content-Type names")
    at = body.find(delimiter)
    for _ in range(MAX_FIELDS + 1):
        end = at + len(delimiter)
        if body.startswith(b"--", end):
            return end + 2
        if not body.startswith(b"\r\n", end):
            raise malformed("a boundary does not end its line")
        at = body.find(b"\r\n" + delimiter, end) + 2
        if at < 2:
            raise malformed("its last boundary is missing")
    raise too_many_fields()


class Collector:
    """Takes the parser's events and keeps whole fields."""

    def __init__(self) -> None:
        self.fields: list[Field] = []
        self.is_finished = False
        self._headers: list[tuple[bytes, bytes]] = []
        self._name = b""
        self._pieces: list[bytes] = []

    def begin(self) -> None:
        self._headers, self._pieces = [], []

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._name = data[start:end].lower()

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers.append((self._name, data[start:end].strip()))

    def data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(data[start:end])

    def end(self) -> None:
        headers = dict(self._headers)
        if headers.get(b"content-transfer-encoding", b"").lower() not in PLAIN_ENCODINGS:
            raise malformed("a field is sent in a Content-Transfer-Encoding, which forms over HTTP do not have")
        _, options = parse_options_header(headers.get(b"content-disposition", b"").decode("latin-1"))
        if b"name" not in options:
            raise malformed("a field has no name in its Content-Disposition")
        content_type = bare_media_type(headers.get(b"content-type", b"").decode("latin-1"))
        data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self.fields.append(Field(text_name(options[b"name"]), content_type, data, b"filename" in options))

    def finish(self) -> None:
        self.is_finished = True


def text_name(name: bytes) -> str:
    if len(name) > MAX_NAME_BYTES:
        raise malformed(f"a field's name is longer than {MAX_NAME_BYTES} bytes")
    return name.decode("utf-8", "replace")


def too_many_fields() -> RequestError:
    return malformed(f"it has more than {MAX_FIELDS} fields")


def malformed(reason: str) -> RequestError:
    return RequestError(
        Code.INVALID_INPUT,
        f"The form cannot be read: {reason}.",
        fix="Send it as an HTTP client's form or file upload.",
    )
