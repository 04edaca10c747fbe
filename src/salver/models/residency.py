"""Which versions stay in memory: what nobody asks for goes, and what is asked for gets room. Pure.

The laws, which the tests prove:

- A version that is pinned, busy or not on demand is never chosen.
- Who was used least recently goes first.
- No more goes than must: without the last one that is chosen there would not be room enough.
- It cannot be done exactly when there is not room enough even after all that may go has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from salver.types import ModelVersion


class Resident(msgspec.Struct, frozen=True, kw_only=True):
    """A version in memory. Times are seconds of one monotonic clock."""

    id: ModelVersion
    bytes: int
    """What its replicas hold together."""
    last_used: float
    is_pinned: bool = False
    is_busy: bool = False
    """Whether requests for it wait or run."""
    is_on_demand: bool = False
    idle_unload_s: float | None = None
    """How long nobody may ask before it goes; None: it goes only when others need the memory."""

    @property
    def may_go(self) -> bool:
        return self.is_on_demand and not self.is_pinned and not self.is_busy


def idle(residents: Iterable[Resident], now: float) -> tuple[ModelVersion, ...]:
    """Those that nobody asked for long enough, least recently used first."""
    return tuple(
        resident.id
        for resident in _evictable(residents, now)
        if resident.idle_unload_s is not None and now - resident.last_used >= resident.idle_unload_s
    )


def make_room(
    residents: Sequence[Resident], needed_bytes: int, budget_bytes: int, now: float
) -> tuple[ModelVersion, ...] | None:
    """Who must go so that `needed_bytes` more fit into the budget, in this order; None when it cannot be done.

    Nobody goes when there is room. Needing 0 bytes asks who must go because the budget is exceeded already.
    """
    missing = sum(resident.bytes for resident in residents) + needed_bytes - budget_bytes
    going: list[ModelVersion] = []
    for resident in _evictable(residents, now):
        if missing <= 0:
            break
        if resident.bytes > 0:
            going.append(resident.id)
            missing -= resident.bytes
    return tuple(going) if missing <= 0 else None


def _evictable(residents: Iterable[Resident], now: float) -> list[Resident]:
    """Those that may go, least recently used first; a use that is dated later than now counts as one just now."""
    return sorted(
        (resident for resident in residents if resident.may_go),
        key=lambda resident: (min(resident.last_used, now), resident.id),
    )
