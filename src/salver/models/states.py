"""A version's life: the states it may be in, what may happen to it, and where that leads.

::

    QUEUED ──build──► BUILDING ──built──► QUEUED      only where packages are asked for that the server itself lacks

    QUEUED ──worker started──► STARTING ──ready──► READY ──replica lost, failed──► DEGRADED ──recovered──► READY
                                │   ▲                │                                │
                     crash looped   └──────────────died───────────────────────────────┘
                                ▼
                            CRASHLOOP ──ready──► READY        tries again after growing pauses until a worker is ready

    QUEUED, BUILDING, STARTING, CRASHLOOP  ──failed──► FAILED ──worker started──► STARTING      a retry was asked for
    STARTING, READY, DEGRADED, CRASHLOOP   ──drain───► DRAINING ──stopped, died──► STOPPED
    QUEUED, BUILDING, FAILED, UNLOADED     ──drain───► STOPPED                    nothing runs that could be drained
    QUEUED ──asleep──► UNLOADED ──woken──► QUEUED                                 loaded when somebody asks for it

READY and DEGRADED serve, and so does DRAINING for what it has already taken. A version has FAILED as soon as one of its
replicas did and none serves; what its other replicas tell after that may still prove it wrong. STOPPED is the end: a
version that is wanted again begins a new life at QUEUED, and so does one that was put to sleep after it had served.
"""

from __future__ import annotations

import enum

from salver.errors import Code, SalverError
from salver.types import VersionState

QUEUED = VersionState.QUEUED
BUILDING = VersionState.BUILDING
STARTING = VersionState.STARTING
READY = VersionState.READY
DEGRADED = VersionState.DEGRADED
CRASHLOOP = VersionState.CRASHLOOP
FAILED = VersionState.FAILED
DRAINING = VersionState.DRAINING
STOPPED = VersionState.STOPPED
UNLOADED = VersionState.UNLOADED


class Event(enum.Enum):
    """What happens to a version. A replica that serves is one whose model is loaded and gave its example's answer."""

    BUILD = "build"
    """Its environment is resolved and installed before anything of it runs."""
    BUILT = "built"
    """Its environment is there."""
    WORKER_STARTED = "worker started"
    """A process was started that will load the version."""
    READY = "ready"
    """The first replica serves, none did before."""
    REPLICA_LOST = "replica lost"
    """Fewer replicas serve than are wanted, at least one: a replica ended, or more are wanted than before."""
    RECOVERED = "recovered"
    """As many replicas serve as are wanted."""
    DIED = "died"
    """A replica ended and none serves now."""
    CRASH_LOOPED = "crash looped"
    """Workers died again and again; the next ones are started after growing pauses."""
    FAILED = "failed"
    """A worker said why the version cannot be loaded; trying again would give the same answer."""
    DRAIN = "drain"
    """The version is no longer wanted: no new requests, those it has are finished."""
    STOPPED = "stopped"
    """The last worker has ended after a drain."""
    ASLEEP = "asleep"
    """The version is wanted, and is not to be loaded before somebody asks for it."""
    WOKEN = "woken"
    """Somebody asks for it."""


MOVES: dict[VersionState, dict[Event, VersionState]] = {
    QUEUED: {
        Event.WORKER_STARTED: STARTING,
        Event.FAILED: FAILED,
        Event.DRAIN: STOPPED,
        Event.ASLEEP: UNLOADED,
        Event.BUILD: BUILDING,
    },
    BUILDING: {
        Event.BUILT: QUEUED,
        Event.FAILED: FAILED,
        Event.DRAIN: STOPPED,
    },
    STARTING: {
        Event.WORKER_STARTED: STARTING,
        Event.READY: READY,
        Event.DIED: STARTING,
        Event.CRASH_LOOPED: CRASHLOOP,
        Event.FAILED: FAILED,
        Event.DRAIN: DRAINING,
    },
    READY: {
        Event.WORKER_STARTED: READY,
        Event.RECOVERED: READY,
        Event.REPLICA_LOST: DEGRADED,
        Event.FAILED: DEGRADED,
        Event.DIED: STARTING,
        Event.DRAIN: DRAINING,
    },
    DEGRADED: {
        Event.WORKER_STARTED: DEGRADED,
        Event.RECOVERED: READY,
        Event.REPLICA_LOST: DEGRADED,
        Event.CRASH_LOOPED: DEGRADED,
        Event.FAILED: DEGRADED,
        Event.DIED: STARTING,
        Event.DRAIN: DRAINING,
    },
    CRASHLOOP: {
        Event.WORKER_STARTED: CRASHLOOP,
        Event.READY: READY,
        Event.DIED: CRASHLOOP,
        Event.CRASH_LOOPED: CRASHLOOP,
        Event.FAILED: FAILED,
        Event.DRAIN: DRAINING,
    },
    FAILED: {
        Event.WORKER_STARTED: STARTING,
        Event.READY: DEGRADED,
        Event.REPLICA_LOST: DEGRADED,
        Event.DIED: FAILED,
        Event.CRASH_LOOPED: FAILED,
        Event.FAILED: FAILED,
        Event.DRAIN: STOPPED,
    },
    DRAINING: {
        Event.WORKER_STARTED: DRAINING,
        Event.READY: DRAINING,
        Event.RECOVERED: DRAINING,
        Event.REPLICA_LOST: DRAINING,
        Event.CRASH_LOOPED: DRAINING,
        Event.FAILED: DRAINING,
        Event.DRAIN: DRAINING,
        Event.DIED: STOPPED,
        Event.STOPPED: STOPPED,
    },
    STOPPED: {
        Event.DIED: STOPPED,
        Event.CRASH_LOOPED: STOPPED,
        Event.FAILED: STOPPED,
        Event.DRAIN: STOPPED,
        Event.STOPPED: STOPPED,
    },
    UNLOADED: {
        Event.WOKEN: QUEUED,
        Event.DRAIN: STOPPED,
    },
}
"""Every legal move. What is not here is a fault of whoever reports the event."""

SERVING = frozenset({READY, DEGRADED})
"""States in which new requests may go to a version."""

ENDING = frozenset({DRAINING, STOPPED})
"""States that lead nowhere but out."""


def next_state(state: VersionState, event: Event) -> VersionState:
    """Where `event` leads from `state`. Raises SalverError(INTERNAL) for a move that the table does not have."""
    following = MOVES[state].get(event)
    if following is None:
        raise SalverError(Code.INTERNAL, f"a version that is {state.value} cannot take the event `{event.value}`")
    return following
