"""From a name to the queue that answers for it, while what is served changes."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from tests.serving.conftest import HandLink, HandLoop, Kept, Watch, request_of, version_of

from salver.errors import Code, RequestError
from salver.serving.pipeline import Pipeline
from salver.types import ModelRoute, ModelStatus, ModelVersion, Scale, VersionInfo, VersionState, VersionStatus


class Stage:
    """A pipeline on a clock that stands still."""

    def __init__(self) -> None:
        self.loop = HandLoop()
        self.links: list[HandLink] = []
        self.loop.now = time.monotonic()  # the queues' own clock, which may be finer than a loop's
        self.pipeline = Pipeline(self.loop, Watch(), deadline_grace_s=2.0)  # type: ignore[arg-type]

    def serve(self, *models: ModelStatus) -> None:
        self.pipeline.apply(models)

    def attach(self, id: ModelVersion, name: str = "r1") -> HandLink:
        link = HandLink(name)
        self.links.append(link)
        self.pipeline.attach(id, link)  # type: ignore[arg-type]
        return link

    def let_go(self, replica_id: str) -> bool:
        """Asked again when the ends of links that were closed have been heard of."""
        self.pipeline.let_go([replica_id])
        for link in [link for link in self.links if not link.is_open]:
            self.links.remove(link)
            self.pipeline.link_lost(link)  # type: ignore[arg-type]
        return self.pipeline.let_go([replica_id])

    def submit(self, info: VersionInfo) -> Kept:
        ticket = Kept(request_of(info, [[1, 2]]), self.loop.now + 30)
        self.pipeline.queues[info.id].submit(ticket)
        self.loop.advance()
        return ticket

    def refusal(self, model: str, version: int | None = None, label: str | None = None) -> RequestError:
        with pytest.raises(RequestError) as caught:
            self.pipeline.find(model, version, label)
        return caught.value


def info_of(number: int = 1, **changes: Any) -> VersionInfo:
    return version_of(id=ModelVersion("m", number), **changes)


def model_of(
    *infos: VersionInfo,
    state: VersionState = VersionState.READY,
    queued: tuple[int, ...] = (),
    **fields: Any,
) -> ModelStatus:
    """A model with a version for each info, and versions of which nothing is known yet."""
    entries = [entry_of(info.id, state, info) for info in infos]
    entries += [entry_of(ModelVersion("m", number), VersionState.STARTING, None) for number in queued]
    plain = {"name": "m", "versions": tuple(entries), "default_version": entries[0].id.version if entries else None}
    return ModelStatus(**(plain | fields))


def entry_of(id: ModelVersion, state: VersionState, info: VersionInfo | None) -> VersionStatus:
    return VersionStatus(id=id, state=state, runtime="echo", source="", environment="", replicas_wanted=1, info=info)


@pytest.fixture
def stage() -> Stage:
    return Stage()


# What is served


def test_a_version_has_a_queue_once_something_is_known_of_it(stage: Stage) -> None:
    stage.serve(model_of(info_of(1), queued=(2,)))
    assert list(stage.pipeline.queues) == [ModelVersion("m", 1)]
    assert list(stage.pipeline.models) == ["m"]


def test_a_version_that_stands_keeps_its_queue_its_links_and_its_requests(stage: Stage) -> None:
    info = info_of()
    stage.serve(model_of(info))
    queue, link = stage.pipeline.queues[info.id], stage.attach(info.id)
    ticket = stage.submit(info)
    same = msgspec.msgpack.decode(msgspec.msgpack.encode(info), type=VersionInfo)
    for state in (VersionState.DEGRADED, VersionState.STARTING, VersionState.CRASHLOOP, VersionState.READY):
        stage.serve(model_of(same, state=state))
    assert stage.pipeline.queues[info.id] is queue
    assert link.is_open
    link.double()
    assert ticket.y == [[2, 4]]


def test_an_example_that_is_not_a_number_does_not_cost_a_version_its_links(stage: Stage) -> None:
    info = info_of(example={"inputs": {"x": [[float("nan")]]}})
    stage.serve(model_of(info))
    link = stage.attach(info.id)
    stage.serve(model_of(msgspec.msgpack.decode(msgspec.msgpack.encode(info), type=VersionInfo)))
    assert link.is_open


@pytest.mark.parametrize("state", [VersionState.STOPPED, VersionState.UNLOADED])
def test_a_version_without_a_worker_answers_who_waits_and_closes_its_links(stage: Stage, state: VersionState) -> None:
    info = info_of(max_batch_rows=1)
    stage.serve(model_of(info))
    link = stage.attach(info.id)
    _, waits = stage.submit(info), stage.submit(info)
    stage.serve(model_of(info, state=state))
    assert waits.error is not None
    assert waits.error.code is Code.MODEL_NOT_READY
    assert waits.settled == 1
    assert not link.is_open
    assert stage.pipeline.queues == {}


def test_a_version_that_is_not_told_of_any_more_is_gone(stage: Stage) -> None:
    stage.serve(model_of(info_of(1)))
    link = stage.attach(ModelVersion("m", 1))
    stage.serve()
    assert not link.is_open
    assert stage.refusal("m").code is Code.MODEL_NOT_FOUND


def test_what_a_worker_of_a_version_that_goes_still_has_is_answered_too(stage: Stage) -> None:
    """Two workers: the second one must not be taken for a place where requests of the first could run again."""
    info = info_of(max_batch_rows=1)
    stage.serve(model_of(info))
    links = [stage.attach(info.id, name) for name in ("r1", "r2")]
    queue = stage.pipeline.queues[info.id]
    tickets = [stage.submit(info) for _ in links]
    stage.serve()
    links[1].is_open = True  # its transport is still closing
    links[0].die(queue)
    links[1].die(queue)
    stage.loop.advance(60)
    for ticket in tickets:
        assert ticket.error is not None
        assert ticket.error.code is Code.SHUTTING_DOWN
        assert ticket.settled == 1


def test_a_version_with_other_facts_gets_another_queue(stage: Stage) -> None:
    stage.serve(model_of(info_of()))
    before = stage.pipeline.queues[ModelVersion("m", 1)]
    stage.serve(model_of(info_of(deadline_s=1.0)))
    assert stage.pipeline.queues[ModelVersion("m", 1)] is not before


# What goes


def test_a_version_that_is_drained_takes_nothing_new_and_answers_what_it_has(stage: Stage) -> None:
    info, other = info_of(1, max_batch_rows=1), info_of(2)
    stage.serve(model_of(info))
    link = stage.attach(info.id)
    flies, waits = stage.submit(info), stage.submit(info)
    stage.serve(model_of(other), model_of(info, state=VersionState.DRAINING))
    assert stage.refusal("m", 1).message.endswith("is not ready: it is being stopped (DRAINING).")
    assert not stage.let_go("r1")
    assert not stage.pipeline.is_idle
    link.double()
    assert not stage.let_go("r1"), "one waits still"
    stage.loop.advance()
    link.double()
    assert (flies.y, waits.y) == ([[2, 4]], [[2, 4]])
    assert link.is_open, "until somebody asks"
    assert stage.let_go("r1")
    assert not link.is_open
    assert stage.pipeline.is_idle


def test_a_version_that_lives_again_while_it_is_drained_has_two_queues(stage: Stage) -> None:
    info = info_of(1)
    stage.serve(model_of(info))
    old = stage.attach(info.id, "r1")
    ticket = stage.submit(info)
    stage.serve(model_of(info, state=VersionState.DRAINING))
    stage.serve(model_of(queued=(1,), default_version=1, versions=(entry_of(info.id, VersionState.STARTING, None),)))
    stage.serve(model_of(info))
    new = stage.attach(info.id, "r2")
    again = stage.submit(info)
    old.double()
    new.double()
    assert (ticket.y, again.y) == ([[2, 4]], [[2, 4]])
    assert stage.let_go("r1")
    assert new.is_open


def test_a_replica_that_leaves_finishes_its_batch_and_gets_no_other(stage: Stage) -> None:
    info = info_of(1, max_batch_rows=1)
    stage.serve(model_of(info))
    stays, leaves = stage.attach(info.id, "r1"), stage.attach(info.id, "r2")
    first, second = stage.submit(info), stage.submit(info)
    assert not stage.let_go("r2")
    third = stage.submit(info)
    leaves.double()
    assert second.y == [[2, 4]]
    assert stage.let_go("r2")
    assert not leaves.is_open
    stays.double()
    stage.loop.advance()
    stays.double()
    assert (first.y, third.y) == ([[2, 4]], [[2, 4]])


def test_the_only_replica_of_a_version_that_stays_is_not_let_go(stage: Stage) -> None:
    info = info_of(1)
    stage.serve(model_of(info))
    link = stage.attach(info.id, "r1")
    assert not stage.let_go("r1")
    assert link.is_open
    stage.attach(info.id, "r2")
    assert stage.let_go("r1")


def test_a_replica_that_dies_on_its_way_out_is_gone(stage: Stage) -> None:
    info = info_of(1)
    stage.serve(model_of(info))
    stays, leaves = stage.attach(info.id, "r1"), stage.attach(info.id, "r2")
    queue = stage.pipeline.queues[info.id]
    first, second = stage.submit(info), stage.submit(info)
    assert not stage.let_go("r2")
    leaves.die(queue)
    stage.pipeline.link_lost(leaves)  # type: ignore[arg-type]
    assert stage.let_go("r2")
    for _ in range(2):
        stays.double()
        stage.loop.advance()
    assert (first.y, second.y) == ([[2, 4]], [[2, 4]]), "its batch may run again, so it does"


def test_a_version_whose_last_worker_dies_while_it_is_drained_is_gone(stage: Stage) -> None:
    info = info_of(1)
    stage.serve(model_of(info))
    link = stage.attach(info.id)
    queue = stage.pipeline.queues[info.id]
    ticket = stage.submit(info)
    stage.serve(model_of(info, state=VersionState.DRAINING))
    link.die(queue)
    stage.pipeline.link_lost(link)  # type: ignore[arg-type]
    assert ticket.error is not None
    assert stage.let_go("r1")
    assert stage.pipeline.is_idle


def test_a_server_that_stops_refuses_what_still_waits_for_a_drained_version(stage: Stage) -> None:
    info = info_of(1, max_batch_rows=1)
    stage.serve(model_of(info))
    stage.attach(info.id)
    _, waits = stage.submit(info), stage.submit(info)
    stage.serve(model_of(info, state=VersionState.DRAINING))
    stage.pipeline.close()
    assert waits.error is not None
    assert waits.error.code is Code.SHUTTING_DOWN


def test_a_new_form_of_a_version_takes_over_with_its_first_link(stage: Stage) -> None:
    heard: list[None] = []
    old, new = info_of(1), info_of(1, description="new")
    stage.serve(model_of(old))
    before = stage.attach(old.id, "r1")
    ticket = stage.submit(old)
    stage.serve(model_of(new))
    assert stage.pipeline.find("m", None, None).version is old, "it answers until the new one can"
    stage.pipeline.on_change(lambda: heard.append(None))
    after = stage.attach(new.id, "r2")
    assert stage.pipeline.find("m", None, None).version is new
    assert heard == [None], "who remembers queues hears of it"
    again = stage.submit(new)
    before.double()
    after.double()
    assert (ticket.y, again.y) == ([[2, 4]], [[2, 4]])
    assert stage.let_go("r1")
    assert after.is_open


def test_a_new_form_that_comes_to_nothing_is_forgotten(stage: Stage) -> None:
    old, new, newer = info_of(1), info_of(1, description="new"), info_of(1, description="newer")
    stage.serve(model_of(old))
    stage.attach(old.id, "r1")
    for info in (new, new, newer, old):
        stage.serve(model_of(info))
    link = stage.attach(old.id, "r2")
    queue = stage.pipeline.find("m", None, None)
    assert queue.version is old
    assert link in queue.links


def test_who_wants_to_know_hears_of_each_change(stage: Stage) -> None:
    heard: list[int] = []
    stage.pipeline.on_change(lambda: heard.append(len(stage.pipeline.queues)))
    stage.serve(model_of(info_of(1), info_of(2)))
    stage.serve(model_of(info_of(1)))
    assert heard == [2, 1]


# Links


def test_a_link_to_a_version_that_is_gone_is_closed(stage: Stage) -> None:
    assert not stage.attach(ModelVersion("m", 1)).is_open


def test_a_link_that_is_lost_leaves_its_queue(stage: Stage) -> None:
    stage.serve(model_of(info_of(1), info_of(2)))
    link, other = stage.attach(ModelVersion("m", 1)), stage.attach(ModelVersion("m", 2))
    stage.pipeline.link_lost(link)  # type: ignore[arg-type]
    assert list(stage.pipeline.queues[ModelVersion("m", 1)].links) == []
    assert list(stage.pipeline.queues[ModelVersion("m", 2)].links) == [other]


# Names


def test_a_name_means_the_default_version_a_number_or_a_label(stage: Stage) -> None:
    stage.serve(model_of(info_of(2), info_of(1), labels={"stable": 1}))
    find = stage.pipeline.find
    assert find("m", None, None).version.id.version == 2
    assert find("m", 1, None).version.id.version == 1
    assert find("m", None, "stable").version.id.version == 1


def test_what_a_name_means_is_found_anew_after_a_change(stage: Stage) -> None:
    stage.serve(model_of(info_of(1), labels={"stable": 1}))
    first = stage.pipeline.find("m", None, None)
    assert stage.pipeline.find("m", None, None) is first
    stage.serve(model_of(info_of(2), info_of(1), labels={"stable": 2}))
    assert stage.pipeline.find("m", None, None).version.id.version == 2
    assert stage.pipeline.find("m", None, "stable").version.id.version == 2
    assert stage.pipeline.find("m", 1, None) is first


def test_a_version_that_sleeps_is_found_for_whoever_has_it_woken(stage: Stage) -> None:
    asleep = model_of(info_of(2), state=VersionState.UNLOADED, labels={"stable": 2}, scale=Scale(is_on_demand=True))
    stage.serve(asleep)
    sleeper = stage.pipeline.sleeper
    two = ModelVersion("m", 2)
    assert (sleeper("m", None, None), sleeper("m", 2, None), sleeper("m", None, "stable")) == (two, two, two)
    assert (sleeper("n", None, None), sleeper("m", 9, None), sleeper("m", None, "canary")) == (None, None, None)
    stage.serve(msgspec.structs.replace(asleep, scale=Scale()))
    assert sleeper("m", None, None) is None, "somebody unloaded it"
    stage.serve(model_of(queued=(2,), scale=Scale(is_on_demand=True)))
    assert sleeper("m", None, None) == two, "it is being loaded for somebody else"
    stage.serve(model_of(info_of(2), state=VersionState.DRAINING, scale=Scale(is_on_demand=True)))
    assert sleeper("m", None, None) == two, "it makes room, and is loaded again"
    stage.serve(model_of(info_of(2), scale=Scale(is_on_demand=True)))
    assert sleeper("m", None, None) == two, "it is loaded, and no link to it has come yet"
    link = stage.attach(ModelVersion("m", 2))
    assert sleeper("m", None, None) is None, "it serves"
    stage.pipeline.link_lost(link)  # type: ignore[arg-type]
    assert sleeper("m", None, None) is None, "its worker died, and is replaced without anybody's asking"


def test_what_is_unknown_is_refused_by_what_it_is(stage: Stage) -> None:
    stage.serve(model_of(info_of(1), queued=(2,)))
    assert stage.refusal("other").code is Code.MODEL_NOT_FOUND
    assert stage.refusal("m", 9).code is Code.VERSION_NOT_FOUND
    assert stage.refusal("m", None, "stable").code is Code.LABEL_NOT_FOUND


@pytest.mark.parametrize(
    ("state", "what", "fix"),
    [
        (VersionState.QUEUED, "it waits to be loaded (QUEUED)", "Wait until"),
        (VersionState.STARTING, "it is being loaded (STARTING)", "Wait until"),
        (VersionState.READY, "this front end does not know it yet (READY)", "Wait until"),
        (VersionState.DEGRADED, "this front end does not know it yet (DEGRADED)", "Wait until"),
        (VersionState.CRASHLOOP, "its worker ends again and again (CRASHLOOP)", "read the reason"),
        (VersionState.FAILED, "it could not be loaded (FAILED)", "read the reason"),
        (VersionState.DRAINING, "it is being stopped (DRAINING)", "Ask for another version"),
        (VersionState.STOPPED, "it is not loaded (STOPPED)", "have this one loaded"),
    ],
)
def test_a_version_that_is_known_and_not_loaded_says_its_state_and_what_to_do(
    stage: Stage, state: VersionState, what: str, fix: str
) -> None:
    version = entry_of(ModelVersion("m", 2), state, None)
    stage.serve(ModelStatus(name="m", versions=(version,), default_version=2, labels={"canary": 2}))
    for asked in ((2, None), (None, "canary"), (None, None)):
        refused = stage.refusal("m", *asked)
        assert (refused.code, refused.retry_after_s) == (Code.MODEL_NOT_READY, 1.0)
        assert refused.message == f"Version 2 of the model 'm' is not ready: {what}."
        assert fix in refused.fix


def test_why_a_version_failed_is_not_told_to_callers(stage: Stage) -> None:
    failed = msgspec.structs.replace(entry_of(ModelVersion("m", 2), VersionState.FAILED, None), reason="/secret/path")
    stage.serve(ModelStatus(name="m", versions=(failed,), default_version=2))
    assert "secret" not in str(stage.refusal("m", 2))


def test_a_model_without_versions_is_not_ready(stage: Stage) -> None:
    stage.serve(ModelStatus(name="m", versions=(), default_version=None))
    refused = stage.refusal("m")
    assert (refused.code, refused.retry_after_s) == (Code.MODEL_NOT_READY, 1.0)
    assert "no version of it is loaded" in refused.message


def test_a_refusal_is_not_remembered(stage: Stage) -> None:
    stage.serve(model_of(queued=(1,)))
    stage.refusal("m")
    stage.serve(model_of(info_of(1)))
    assert stage.pipeline.find("m", None, None).version.id.version == 1


# Routes


def routed_model(*infos: VersionInfo, weights: dict[int, int], **fields: Any) -> ModelStatus:
    return model_of(*infos, route=ModelRoute(weights=weights, sticky="principal"), **fields)


def answering(stage: Stage, *places: float) -> list[int]:
    return [stage.pipeline.find_routed("m", place).version.id.version for place in places]


def test_a_route_is_known_from_memory(stage: Stage) -> None:
    stage.serve(routed_model(info_of(1), weights={1: 1}), model_of(name="plain", default_version=None))
    assert stage.pipeline.route("m") == ModelRoute(weights={1: 1}, sticky="principal")
    assert stage.pipeline.route("plain") is None
    assert stage.pipeline.route("other") is None
    stage.serve(model_of(info_of(1)))
    assert stage.pipeline.route("m") is None


def link(stage: Stage, *versions: int) -> None:
    for version in versions:
        stage.attach(ModelVersion("m", version))


def test_a_route_sends_each_place_to_its_version(stage: Stage) -> None:
    stage.serve(routed_model(info_of(2), info_of(1), weights={1: 90, 2: 10}))
    link(stage, 1, 2)
    assert answering(stage, 0.0, 0.89, 0.91, 0.99) == [1, 1, 2, 2]
    assert stage.pipeline.find_routed("m", 0.0) is stage.pipeline.queues[ModelVersion("m", 1)]


def test_a_version_or_a_label_that_a_request_names_wins_over_the_route(stage: Stage) -> None:
    stage.serve(routed_model(info_of(2), info_of(1), weights={1: 1}, labels={"canary": 2}))
    assert stage.pipeline.find("m", 2, None).version.id.version == 2
    assert stage.pipeline.find("m", None, "canary").version.id.version == 2


def test_a_routed_version_that_is_not_loaded_is_passed_over_until_it_is(stage: Stage) -> None:
    stage.serve(routed_model(info_of(1), weights={1: 50, 2: 50}, queued=(2,)))
    link(stage, 1)
    assert answering(stage, 0.1, 0.9) == [1, 1]
    stage.serve(routed_model(info_of(2), info_of(1), weights={1: 50, 2: 50}))
    assert answering(stage, 0.1, 0.9) == [1, 1], "this front end does not reach it yet"
    link(stage, 2)
    assert answering(stage, 0.1, 0.9) == [1, 2]


@pytest.mark.parametrize(
    ("state", "is_passed_over"),
    [
        (VersionState.DEGRADED, False),
        (VersionState.STARTING, False),
        (VersionState.CRASHLOOP, True),
        (VersionState.FAILED, True),
        (VersionState.DRAINING, True),
        (VersionState.STOPPED, True),
    ],
)
def test_a_routed_version_that_is_down_is_passed_over(stage: Stage, state: VersionState, is_passed_over: bool) -> None:
    """One whose worker died a moment ago is not: its callers stay with it, and are told to come back."""
    one, two = info_of(1), info_of(2)
    entries = (entry_of(two.id, state, two), entry_of(one.id, VersionState.READY, one))
    stage.serve(routed_model(one, two, weights={1: 50, 2: 50}))
    link(stage, 1, 2)
    stage.serve(routed_model(one, two, weights={1: 50, 2: 50}, versions=entries))
    assert answering(stage, 0.1, 0.9) == [1, 1 if is_passed_over else 2]


def test_the_default_version_answers_when_no_version_of_the_route_can(stage: Stage) -> None:
    stage.serve(routed_model(info_of(1), weights={2: 1}, queued=(2,)))
    assert answering(stage, 0.5) == [1]


def test_the_default_version_answers_where_there_is_no_route(stage: Stage) -> None:
    stage.serve(model_of(info_of(2), info_of(1)))
    assert answering(stage, 0.0, 0.99) == [2, 2]


def test_a_route_that_leads_nowhere_is_refused_as_the_model_is(stage: Stage) -> None:
    stage.serve(routed_model(weights={2: 1}, queued=(2,)))
    for model, code in (("m", Code.MODEL_NOT_READY), ("other", Code.MODEL_NOT_FOUND)):
        with pytest.raises(RequestError) as caught:
            stage.pipeline.find_routed(model, 0.5)
        assert caught.value.code is code


# The end


def test_at_the_end_who_waits_hears_that_the_server_stops(stage: Stage) -> None:
    info = info_of(max_batch_rows=1)
    stage.serve(model_of(info))
    link = stage.attach(info.id)
    assert stage.pipeline.is_idle
    _, waits = stage.submit(info), stage.submit(info)
    assert not stage.pipeline.is_idle
    stage.pipeline.close()
    assert waits.error is not None
    assert waits.error.code is Code.SHUTTING_DOWN
    link.die(stage.pipeline.queues[info.id])
    assert stage.pipeline.is_idle
