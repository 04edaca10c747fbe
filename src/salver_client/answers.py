"""What came of a request, in the client's own terms."""

from __future__ import annotations

import httpx

from salver_client.calls import Reply
from salver_client.errors import SalverClientError


def reply_of(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content)


def unreachable(error: httpx.HTTPError, place: str) -> SalverClientError:
    """Why no answer came, in the client's own words."""
    if isinstance(error, httpx.TimeoutException):
        return SalverClientError(
            "TIMED_OUT", f"{place} did not answer in time.", fix="Allow more time, or send less at once."
        )
    return SalverClientError(
        "CONNECTION_FAILED", f"{place} cannot be reached: {error}.", fix="Check the address, and that the server runs."
    )
