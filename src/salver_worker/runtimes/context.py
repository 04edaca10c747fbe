"""The context that MXNet Model Server and TorchServe hand to a handler (mms/context.py, ts/context.py)."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from salver_worker.runtimes.handler_metrics import Metrics

OK = 200
CONTENT_TYPE = "content-type"
STREAM_NEXT = "ts_stream_next"
"""A header of an answer in parts: whether another one follows."""
SendPart = Callable[[int, Any], None]


class RequestProcessor:
    """One request's headers, and what the handler set for its response."""

    def __init__(self, request_header: Mapping[str, Any]) -> None:
        self._request_header = dict(request_header)
        self._response_header: Dict[str, str] = {}
        self._status_code = OK
        self._reason_phrase: Optional[str] = None

    def get_request_property(self, key: str) -> Any:
        return self._request_header.get(key)

    def get_request_properties(self) -> Dict[str, Any]:
        return self._request_header

    def report_status(self, code: int, reason_phrase: Optional[str] = None) -> None:
        self._status_code = code
        self._reason_phrase = reason_phrase

    def get_response_status_code(self) -> int:
        return self._status_code

    def get_response_status_phrase(self) -> Optional[str]:
        return self._reason_phrase

    def add_response_property(self, key: str, value: str) -> None:
        self._response_header[key] = value

    def get_response_headers(self) -> Dict[str, str]:
        return self._response_header

    def get_response_header(self, key: str) -> Optional[str]:
        return self._response_header.get(key)


class Context:
    """Made once for a model; what belongs to a batch is replaced with each one."""

    def __init__(
        self,
        model_name: str,
        manifest: Dict[str, Any],
        system_properties: Dict[str, Any],
        model_yaml_config: Dict[str, Any],
    ) -> None:
        self.model_name = model_name
        self.manifest = manifest
        self.system_properties = system_properties
        self.model_yaml_config = model_yaml_config
        self.cl_socket: Any = None
        self._send_part: Optional[SendPart] = None
        self.stopping_criteria: Any = None
        self.header_key_sequence_id = "ts_request_sequence_id"
        self.header_key_sequence_start = "ts_request_sequence_start"
        self.header_key_sequence_end = "ts_request_sequence_end"
        self.request_ids: Dict[int, str] = {}
        self.request_processor: List[RequestProcessor] = []
        self.metrics = Metrics(model_name, self.request_ids)

    def begin(
        self, request_ids: Dict[int, str], processors: List[RequestProcessor], send_part: Optional[SendPart] = None
    ) -> None:
        """Forget the last batch. `send_part` takes a request's place in the batch and a part of its answer."""
        self._send_part = send_part
        self.request_ids = request_ids
        self.request_processor = processors
        self.metrics.begin(request_ids)

    def end(self) -> None:
        """The batch is over: it has no parts any more."""
        self._send_part = None

    def send_part(self, idx: int, answer: Any) -> None:
        """Send a part of a request's answer. Raises RuntimeError when no batch runs."""
        if self._send_part is None:
            raise RuntimeError("an intermediate answer belongs to the requests that the handler has at the moment")
        self.set_response_header(idx, STREAM_NEXT, "true")
        self._send_part(idx, answer)

    def get_request_id(self, idx: int = 0) -> Optional[str]:
        return self.request_ids.get(idx)

    def get_request_header(self, idx: int, key: str) -> Any:
        return self.request_processor[idx].get_request_property(key)

    def get_sequence_id(self, idx: int) -> Any:
        return self.get_request_header(idx, self.header_key_sequence_id)

    def get_all_request_header(self, idx: int) -> Dict[str, Any]:
        return self.request_processor[idx].get_request_properties()

    def set_response_content_type(self, idx: int, value: str) -> None:
        self.set_response_header(idx, CONTENT_TYPE, value)

    def get_response_content_type(self, idx: int) -> Optional[str]:
        return self.get_response_headers(idx).get(CONTENT_TYPE)

    def get_response_status(self, idx: int) -> Tuple[int, Optional[str]]:
        processor = self.request_processor[idx]
        return processor.get_response_status_code(), processor.get_response_status_phrase()

    def set_response_status(self, code: int = OK, phrase: str = "", idx: int = 0) -> None:
        self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: int = OK, phrase: str = "") -> None:
        for processor in self.request_processor:
            processor.report_status(code, reason_phrase=phrase)

    def get_response_headers(self, idx: int) -> Dict[str, str]:
        return self.request_processor[idx].get_response_headers()

    def set_response_header(self, idx: int, key: str, value: str) -> None:
        self.request_processor[idx].add_response_property(key, value)
