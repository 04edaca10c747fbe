"""The one error of the client."""

from __future__ import annotations


class SalverClientError(Exception):
    """A request that failed: what the server said about it, or why no answer came.

    `code` is the server's own word (MODEL_NOT_FOUND, OVERLOADED, …) or one of the client's: CONNECTION_FAILED,
    TIMED_OUT, NOT_READY_IN_TIME, ANSWER_NOT_UNDERSTOOD, INVALID_INPUT, PACKAGING_FAILED. `status` is 0 when there
    was no answer; `retry_after` is in seconds.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        fix: str = "",
        request_id: str = "",
        retry_after: float | None = None,
        status: int = 0,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = fix
        self.request_id = request_id
        self.retry_after = retry_after
        self.status = status

    def __str__(self) -> str:
        return " ".join(filter(None, (f"{self.message} [{self.code}]", self.fix)))
