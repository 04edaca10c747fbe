"""Waits for a version's environment, and says why there is none in the terms of a version."""

from __future__ import annotations

import asyncio
import logging

import msgspec

from salver.errors import Code
from salver.replicas.base import Failure
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest, Environments, Prepared, Tell

log = logging.getLogger("salver.models")
FAULT = "The server failed while it looked after this version's environment; its log has the reason."


class Unbuilt(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no environment, and the last words of whoever tried."""

    failure: Failure
    lines: tuple[str, ...] = ()


async def build(environments: Environments, request: EnvironmentRequest, tell: Tell) -> Prepared | Unbuilt | None:
    """The environment, or why there is none; None when nobody waits for it any more."""
    try:
        return await environments.prepare(request, tell)
    except asyncio.CancelledError:
        return None
    except BuildFailed as failed:
        failure = Failure(code=failed.code.value, message=failed.message, fix=failed.fix)
        return Unbuilt(failure=failure, lines=failed.lines)
    except Exception:  # the boundary of the task: a fault here must not look like a build that goes on
        log.exception("environment_failed", extra={"request": request.label})
        return Unbuilt(failure=Failure(code=Code.INTERNAL.value, message=FAULT, fix=Code.INTERNAL.fix))
