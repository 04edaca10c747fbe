"""Which replica has a sequence of requests: the one that began it, for as long as it lives. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from salver.errors import Code, RequestError
from salver.types import SequenceStep

MAX_KNOWN = 65_536
"""So many sequences are remembered; of those that were asked for longest ago the place is worked out anew."""


class Sequences:
    """The sequences of one version in one front end.

    A new one goes where its id says among the replicas that there are, so that front ends which share them agree.
    """

    def __init__(self) -> None:
        self._places: dict[int | str, str] = {}

    def place(self, step: SequenceStep, replica_ids: Sequence[str]) -> str:
        """The replica for a step. Raises RequestError(CONFLICT) when the one that has the sequence is gone."""
        known = self._places.pop(step.id, None)
        if known is None or step.is_start:
            known = max(replica_ids, key=lambda replica_id: _weight(step.id, replica_id))
        elif known not in replica_ids:
            raise sequence_lost(step)
        if not step.is_end:
            self._places[step.id] = known
            if len(self._places) > MAX_KNOWN:
                del self._places[next(iter(self._places))]
        return known


def sequence_lost(step: SequenceStep) -> RequestError:
    return RequestError(
        Code.CONFLICT,
        f"The replica that had the sequence {step.id} is gone, and with it what it kept between its requests.",
        fix="Begin the sequence anew.",
    )


def _weight(id: int | str, replica_id: str) -> bytes:
    return hashlib.blake2b(f"{replica_id}\0{id!r}".encode(), digest_size=8).digest()
