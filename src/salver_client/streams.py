"""Answers in parts: the events of a stream, each a prediction."""

from __future__ import annotations

import base64
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from salver_client.answers import reply_of, unreachable
from salver_client.calls import Reply, error_of, not_understood
from salver_client.errors import SalverClientError
from salver_client.results import Prediction

EVENTS = "text/event-stream"


class Events:
    """Reads one stream, line by line."""

    def __init__(self, reply: Reply) -> None:
        """`reply` has no body: it is what begins the stream. Raises SalverClientError when it is none."""
        if not reply.headers.get("content-type", "").startswith(EVENTS):
            raise not_understood(reply)
        self._reply = reply
        self._name = ""
        self._data = ""

    def take(self, line: str) -> Prediction | None:
        """The part that this line completes. Raises SalverClientError for an event that tells of an error."""
        if line:
            field, _, value = line.partition(":")
            if field == "event":
                self._name = value.strip()
            elif field == "data":
                self._data += value.strip()
            return None
        name, data = self._name, self._data
        self._name = self._data = ""
        if name == "error":
            raise error_of(Reply(self._reply.status, self._reply.headers, data.encode()))
        return self._prediction(data) if data else None

    def _prediction(self, data: str) -> Prediction:
        headers = self._reply.headers
        understood, request_id = headers.get("salver-understood", ""), headers.get("x-request-id", "")
        try:
            document = json.loads(data)
            if "body" not in document:
                return Prediction.of(document, understood=understood, request_id=request_id)
            return Prediction(
                model=document["model"],
                version=document["version"],
                body=_bytes(document["body"]),
                content_type=document["content_type"],
                understood=understood,
                request_id=request_id,
            )
        except (KeyError, TypeError, ValueError) as error:
            raise not_understood(self._reply) from error


def _bytes(body: Any) -> bytes:
    return base64.b64decode(body["b64"]) if isinstance(body, dict) else str(body).encode()


def received(http: httpx.Client, request: httpx.Request, place: str) -> Iterator[Prediction]:
    """The parts of the answer, as they come. Raises SalverClientError."""
    try:
        response = http.send(request, stream=True)
        with contextlib.closing(response):
            if response.status_code >= 400:
                response.read()
                raise error_of(reply_of(response))
            events = Events(beginning_of(response))
            for line in response.iter_lines():
                part = events.take(line)
                if part is not None:
                    yield part
    except httpx.HTTPError as error:
        raise failure(error, place) from error


async def received_async(http: httpx.AsyncClient, request: httpx.Request, place: str) -> AsyncIterator[Prediction]:
    try:
        response = await http.send(request, stream=True)
        async with contextlib.aclosing(response):
            if response.status_code >= 400:
                await response.aread()
                raise error_of(reply_of(response))
            events = Events(beginning_of(response))
            async for line in response.aiter_lines():
                part = events.take(line)
                if part is not None:
                    yield part
    except httpx.HTTPError as error:
        raise failure(error, place) from error


def beginning_of(response: httpx.Response) -> Reply:
    """What a stream begins with, before any of its body is read."""
    return Reply(response.status_code, response.headers, b"")


def failure(error: httpx.HTTPError, place: str) -> SalverClientError:
    return broken_off(place) if isinstance(error, httpx.RemoteProtocolError) else unreachable(error, place)


def broken_off(place: str) -> SalverClientError:
    return SalverClientError(
        "CONNECTION_FAILED",
        f"{place} broke the answer off.",
        fix="Ask again; read as fast as the parts come, and look into the model's log.",
    )
