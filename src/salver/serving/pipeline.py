"""How one prediction is made, top to bottom: find the version, then its queue, then a replica."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

import msgspec

from salver.access.permit import model_not_found
from salver.errors import Code, RequestError
from salver.models.routing import choose
from salver.replicas.link import Link
from salver.serving.batching.queue import VersionQueue
from salver.serving.batching.ticket import Watcher
from salver.serving.batching.times import BatchTimes
from salver.serving.departures import Departures
from salver.types import ModelRoute, ModelStatus, ModelVersion, VersionInfo, VersionState, VersionStatus

OVER = (VersionState.STOPPED, VersionState.UNLOADED)
"""States without a worker."""
GONE = (VersionState.DRAINING, *OVER)
WAITED_FOR = (VersionState.QUEUED, VersionState.BUILDING, VersionState.STARTING, *GONE)
"""States in which a version on demand will serve for whoever waits."""
DOWN = (VersionState.CRASHLOOP, VersionState.FAILED)
"""States in which a route passes a version over. One that lost its workers a moment ago keeps its callers."""

_READ_THE_REASON = "Ask for another version, or read the reason that `salver models NAME` shows."
_NOT_READY: dict[VersionState, tuple[str, str]] = {
    VersionState.QUEUED: ("it waits to be loaded", Code.MODEL_NOT_READY.fix),
    VersionState.BUILDING: ("its environment is being built", Code.MODEL_NOT_READY.fix),
    VersionState.STARTING: ("it is being loaded", Code.MODEL_NOT_READY.fix),
    VersionState.READY: ("this front end does not know it yet", Code.MODEL_NOT_READY.fix),
    VersionState.DEGRADED: ("this front end does not know it yet", Code.MODEL_NOT_READY.fix),
    VersionState.CRASHLOOP: ("its worker ends again and again", _READ_THE_REASON),
    VersionState.FAILED: ("it could not be loaded", _READ_THE_REASON),
    VersionState.DRAINING: ("it is being stopped", "Ask for another version, or name none."),
    VersionState.STOPPED: ("it is not loaded", "Ask for another version, or have this one loaded."),
    VersionState.UNLOADED: ("it is not loaded", "Ask for another version, or have this one loaded."),
}
"""What is the matter with a version that has no queue, by its state, and what to do."""


class Pipeline:
    """One front end's prediction path. It reads only memory: `apply` brings it what the control half knows.

    Owned by one event loop; nothing here may be called from another thread.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, watcher: Watcher, *, deadline_grace_s: float) -> None:
        self._loop = loop
        self._watcher = watcher
        self._grace_s = deadline_grace_s
        self._models: dict[str, ModelStatus] = {}
        self._queues: dict[ModelVersion, VersionQueue] = {}
        self._coming: dict[ModelVersion, VersionQueue] = {}
        """Queues of versions that changed their form: each takes over when it has a link."""
        self._departures = Departures()
        self._found: dict[tuple[str, int | None, str | None], VersionQueue] = {}
        self._reached: set[ModelVersion] = set()
        """Versions with a queue that has had a link."""
        self._routable: dict[str, frozenset[int]] = {}
        """For each model with a route, the versions of it that can be given requests."""
        self._times: dict[ModelVersion, BatchTimes] = {}
        self._listeners: list[Callable[[], None]] = []

    # What is served

    @property
    def models(self) -> dict[str, ModelStatus]:
        return self._models

    @property
    def queues(self) -> dict[ModelVersion, VersionQueue]:
        return self._queues

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` after each change of what is served."""
        self._listeners.append(listener)

    def apply(self, models: Sequence[ModelStatus]) -> None:
        """Take over what is served.

        Queues of versions that stand stay as they are. Those of versions that are drained take nothing new in; those of
        versions without a worker are closed.
        """
        self._models = {model.name: model for model in models}
        infos: dict[ModelVersion, VersionInfo] = {
            version.id: version.info
            for model in models
            for version in model.versions
            if version.info is not None and version.state not in GONE
        }
        for id in [id for id in self._queues if id not in infos]:
            self._coming.pop(id, None)
            self._reached.discard(id)
            self._departures.add(self._queues.pop(id))
        self._departures.close_others(
            {entry.id for each in models for entry in each.versions if entry.state not in OVER}
        )
        known = {entry.id for each in models for entry in each.versions}
        self._times = {id: times for id, times in self._times.items() if id in known}
        for id, info in infos.items():
            self._expect(id, info)
        self._changed()

    def _expect(self, id: ModelVersion, info: VersionInfo) -> None:
        """Have a queue for what is served now; one that has links answers until the new one has a link itself."""
        present = self._queues.get(id)
        if present is None or not (present.links or _is_same(info, present.version)):
            self._coming.pop(id, None)
            self._take_over(id, self._new_queue(info))
        elif _is_same(info, present.version):
            self._coming.pop(id, None)
        elif id not in self._coming or not _is_same(info, self._coming[id].version):
            self._coming[id] = self._new_queue(info)

    def _new_queue(self, info: VersionInfo) -> VersionQueue:
        times = self._times.setdefault(info.id, BatchTimes())
        return VersionQueue(info, self._loop, self._watcher, deadline_grace_s=self._grace_s, times=times)

    def _take_over(self, id: ModelVersion, queue: VersionQueue) -> None:
        if id in self._queues:
            self._departures.add(self._queues[id])
        self._queues[id] = queue

    def _changed(self) -> None:
        self._found.clear()
        self._routable = {
            name: self._routable_versions(model) for name, model in self._models.items() if model.route is not None
        }
        for listener in self._listeners:
            listener()

    def attach(self, id: ModelVersion, link: Link) -> None:
        """A replica of the version can be reached by `link` from now on."""
        coming = self._coming.pop(id, None)
        if coming is not None:
            self._take_over(id, coming)
            self._changed()
        queue = self._queues.get(id)
        if queue is None:
            link.close()
            return
        queue.add_link(link)
        if id not in self._reached:
            self._reached.add(id)
            self._changed()

    def link_lost(self, link: Link) -> None:
        for queue in self._queues.values():
            queue.link_lost(link)
        self._departures.link_lost(link)

    def let_go(self, replica_ids: Collection[str]) -> bool:
        """Give these replicas no more work; whether all they had is answered and no link to them is left."""
        for queue in self._queues.values():
            self._departures.withdraw(queue, replica_ids)
        self._departures.close_idle()
        linked = [*self._departures.links, *(link for queue in self._queues.values() for link in queue.links)]
        return not any(link.replica_id in replica_ids for link in linked)

    def _routable_versions(self, model: ModelStatus) -> frozenset[int]:
        return frozenset(
            entry.id.version for entry in model.versions if entry.id in self._reached and entry.state not in DOWN
        )

    # One prediction

    def route(self, model: str) -> ModelRoute | None:
        """The model's route: what decides for requests that name neither version nor label. None: it has none."""
        status = self._models.get(model)
        return None if status is None else status.route

    def find_routed(self, model: str, place: float) -> VersionQueue:
        """The queue of the version that answers whoever stands at `place` in [0, 1).

        A version that cannot be given requests is passed over; when that leaves none, and where the model has no route,
        the default version answers. Raises RequestError as `find` does.
        """
        route = self.route(model)
        version = None if route is None else choose(route, place, self._routable[model])
        return self.find(model, version, None)

    def find(self, model: str, version: int | None, label: str | None) -> VersionQueue:
        """The queue that answers for a version or a label, which win over a route; for neither, the default version's.

        Raises RequestError for what is unknown or not ready.
        """
        key = (model, version, label)
        queue = self._found.get(key)
        if queue is None:
            queue = self._find(model, version, label)
            self._found[key] = queue
        return queue

    def _find(self, model: str, version: int | None, label: str | None) -> VersionQueue:
        status = self._models.get(model)
        if status is None:
            raise model_not_found(model)
        if label is not None:
            version = status.labels.get(label)
            if version is None:
                raise RequestError(Code.LABEL_NOT_FOUND, f"The model {model!r} has no label {label!r}.")
        if version is None:
            version = status.default_version
        if version is None:
            raise _nothing_loaded(model)
        queue = self._queues.get(ModelVersion(model, version))
        if queue is not None:
            return queue
        found = next((entry for entry in status.versions if entry.id.version == version), None)
        if found is None:
            raise RequestError(Code.VERSION_NOT_FOUND, f"The model {model!r} has no version {version}.")
        raise _not_ready(found)

    def sleeper(self, model: str, version: int | None, label: str | None) -> ModelVersion | None:
        """The version that would answer for a name, when it is loaded for whoever asks and does not serve; else None.

        It sleeps, or is being loaded already, or was taken out of memory a moment ago. So it is also while no link to
        it has come yet: nothing could be given to its queue.
        """
        status = self._models.get(model)
        if status is None or not status.scale.is_on_demand:
            return None
        if version is None:
            version = status.default_version if label is None else status.labels.get(label)
        found = next((entry for entry in status.versions if entry.id.version == version), None)
        if found is None or found.id in self._reached:
            return None
        return found.id if found.id in self._queues or found.state in WAITED_FOR else None

    @property
    def is_idle(self) -> bool:
        return all(queue.is_idle for queue in self._queues.values()) and self._departures.is_idle

    def close(self) -> None:
        """The server stops: whoever still waits is told so."""
        refusal = RequestError(Code.SHUTTING_DOWN, "The server is stopping.", retry_after_s=1.0)
        for queue in (*self._queues.values(), *self._departures.queues):
            queue.close(refusal)


def _nothing_loaded(model: str) -> RequestError:
    return RequestError(
        Code.MODEL_NOT_READY,
        f"The model {model!r} is not ready: no version of it is loaded.",
        fix="Have a version of it loaded.",
        retry_after_s=1.0,
    )


def _not_ready(version: VersionStatus) -> RequestError:
    """In the words of its state; why it failed is for those who may see the model's page."""
    what, fix = _NOT_READY[version.state]
    message = (
        f"Version {version.id.version} of the model {version.id.model!r} is not ready: {what} ({version.state.value})."
    )
    return RequestError(Code.MODEL_NOT_READY, message, fix=fix, retry_after_s=1.0)


def _is_same(one: VersionInfo | None, other: VersionInfo) -> bool:
    """An example may hold NaN, which is not equal to itself once it came from another process; its bytes are."""
    return one == other or msgspec.msgpack.encode(one) == msgspec.msgpack.encode(other)
