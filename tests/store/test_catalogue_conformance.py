"""What every store promises of models and their versions, run on each of them."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable

import msgspec
import pytest

from salver.errors import Code, SalverError
from salver.store.base import CatalogueChange, ModelRecord, Store, VersionRecord
from salver.types import ModelRoute, PolicyKind, Preserve, Scale, VersionFailure, VersionPolicy

MakeModel = Callable[..., ModelRecord]
MakeVersion = Callable[..., VersionRecord]

FAILURE = VersionFailure(
    code="LOAD_FAILED",
    message="Loading 'größe' failed.",
    fix="Mend it.",
    exception="ValueError: \x00 odd",
    log_tail=("one", "two\n"),
    at=1234.5678901,
)


def later(record: ModelRecord, **fields: object) -> ModelRecord:
    """The record with a change, at its next revision."""
    return msgspec.structs.replace(record, revision=record.revision + 1, **fields)


def refusal(store: Store, change: CatalogueChange) -> SalverError:
    with pytest.raises(SalverError) as refused:
        store.change_catalogue(change)
    assert refused.value.code is Code.CONFLICT
    return refused.value


def test_a_model_comes_back_as_it_was_given(store: Store, model: MakeModel) -> None:
    plain = model("iris")
    full = model(
        "wein,ä 'x'",
        policy=VersionPolicy(kind=PolicyKind.SPECIFIC, count=3, versions=(1, 7), preserve=Preserve.RESOURCES),
        labels={"stable": 7, "canary": 9_007_199_254_740_993},
        route=ModelRoute(weights={7: 90, 9: 10}, sticky="header:X-User"),
        scale=Scale(replicas=2, min_replicas=0, max_replicas=4, is_on_demand=True, idle_unload_s=0.1, is_pinned=True),
        stable_history=(1, 2, 1),
        is_unloaded=True,
        updated_at=1000.123456789,
    )
    store.change_catalogue(CatalogueChange(put=(full, plain)))

    assert store.models() == (plain, full)


def test_a_version_comes_back_as_it_was_given(store: Store, version: MakeVersion) -> None:
    plain = version("iris", 2)
    full = version("iris", 2**62, size_bytes=2**62, source="s3://bücket/'key'", created_at=1.25, failure=FAILURE)
    store.change_catalogue(CatalogueChange(add=(full, plain)))

    assert store.versions() == (plain, full)


def test_models_and_versions_are_listed_by_name_and_number(
    store: Store, model: MakeModel, version: MakeVersion
) -> None:
    names = ("b", "a", "B", "a-b", "aa", "ä", "_")
    store.change_catalogue(
        CatalogueChange(
            put=tuple(map(model, names)), add=tuple(version(name, number) for name in names for number in (10, 9))
        )
    )

    assert [record.name for record in store.models()] == sorted(names)
    assert [(record.model, record.version) for record in store.versions()] == [
        (name, number) for name in sorted(names) for number in (9, 10)
    ]


def test_a_change_replaces_the_whole_record_at_the_next_revision(store: Store, model: MakeModel) -> None:
    first = model(labels={"stable": 1}, route=ModelRoute(weights={1: 1}))
    store.change_catalogue(CatalogueChange(put=(first,)))
    second = later(first, labels={}, route=None, is_unloaded=True)
    store.change_catalogue(CatalogueChange(put=(second,)))

    assert store.models() == (second,)


@pytest.mark.parametrize("revision", [-1, 0, 2, 5])
def test_a_new_model_begins_at_revision_one(store: Store, model: MakeModel, revision: int) -> None:
    refusal(store, CatalogueChange(put=(model(revision=revision),)))

    assert store.models() == ()


@pytest.mark.parametrize("revision", [1, 2, 4])
def test_a_change_made_from_an_old_record_is_refused_with_words(store: Store, model: MakeModel, revision: int) -> None:
    first = model()
    second = later(first)
    store.change_catalogue(CatalogueChange(put=(first,)))
    store.change_catalogue(CatalogueChange(put=(second,)))

    error = refusal(store, CatalogueChange(put=(model(revision=revision, is_unloaded=True),)))

    assert "The model iris was changed by somebody else meanwhile: it is at revision 2" in error.message
    assert store.models() == (second,)


def test_a_version_is_published_once(store: Store, version: MakeVersion) -> None:
    store.change_catalogue(CatalogueChange(add=(version(),)))

    error = refusal(store, CatalogueChange(add=(version(digest="other"),)))

    assert error.message == "There is already a version 1 of the model iris."
    assert store.versions() == (version(),)


def test_a_change_is_kept_whole_or_not_at_all(store: Store, model: MakeModel, version: MakeVersion) -> None:
    store.change_catalogue(CatalogueChange(put=(model("a"), model("b")), add=(version("a", 1), version("b", 1))))
    before = store.models(), store.versions()

    refusal(
        store,
        CatalogueChange(
            remove_models=("b",),
            remove=(("a", 1),),
            put=(later(model("a")), model("c")),
            add=(version("c", 1), version("a", 2), version("a", 2)),
        ),
    )

    assert (store.models(), store.versions()) == before


def test_what_is_removed_may_come_again_in_the_same_change(
    store: Store, model: MakeModel, version: MakeVersion
) -> None:
    first = model("a")
    store.change_catalogue(CatalogueChange(put=(first, model("b")), add=(version("a", 1), version("b", 1))))
    store.change_catalogue(CatalogueChange(put=(later(first),)))

    again = version("a", 1, digest="other")
    store.change_catalogue(CatalogueChange(remove_models=("a", "b"), put=(first,), add=(again,)))

    assert (store.models(), store.versions()) == ((first,), (again,))


def test_a_removed_model_takes_its_versions_along(store: Store, model: MakeModel, version: MakeVersion) -> None:
    store.change_catalogue(CatalogueChange(put=(model("a"), model("ab")), add=(version("a", 1), version("ab", 1))))
    store.change_catalogue(CatalogueChange(remove_models=("a", "nobody")))

    assert (store.models(), store.versions()) == ((model("ab"),), (version("ab", 1),))


def test_a_removed_version_leaves_the_others(store: Store, version: MakeVersion) -> None:
    store.change_catalogue(CatalogueChange(add=(version("a", 1), version("a", 2), version("b", 1))))
    store.change_catalogue(CatalogueChange(remove=(("a", 1), ("a", 9), ("c", 1))))

    assert store.versions() == (version("a", 2), version("b", 1))


def test_an_empty_change_changes_nothing(store: Store, model: MakeModel) -> None:
    store.change_catalogue(CatalogueChange(put=(model(),)))
    store.change_catalogue(CatalogueChange())

    assert store.models() == (model(),)


def test_a_failure_is_kept_until_it_is_forgotten(store: Store, version: MakeVersion) -> None:
    store.change_catalogue(CatalogueChange(add=(version("a", 1), version("a", 2), version("b", 1))))

    store.set_failure("a", 1, FAILURE)
    assert store.versions() == (version("a", 1, failure=FAILURE), version("a", 2), version("b", 1))

    store.set_failure("a", 1, None)
    assert store.versions() == (version("a", 1), version("a", 2), version("b", 1))


def test_a_failure_of_what_is_not_there_is_of_no_matter(store: Store) -> None:
    store.set_failure("a", 1, FAILURE)

    assert store.versions() == ()


def test_of_changes_made_at_once_from_the_same_record_one_is_kept(store: Store, model: MakeModel) -> None:
    store.change_catalogue(CatalogueChange(put=(model(),)))
    codes: list[Code | None] = []

    def write(name: str) -> None:
        for _ in range(20):
            (record,) = store.models()
            change = CatalogueChange(put=(later(record, updated_by=name),))
            codes.append(code_of(functools.partial(store.change_catalogue, change)))

    threads = [threading.Thread(target=write, args=(name,)) for name in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (record,) = store.models()
    assert set(codes) <= {None, Code.CONFLICT}
    assert record.revision == codes.count(None) + 1 >= 21


def code_of(act: Callable[[], None]) -> Code | None:
    try:
        act()
    except SalverError as error:
        return error.code
    return None


def test_values_are_kept_with_the_change_or_not_at_all(store: Store, model: MakeModel) -> None:
    store.change_catalogue(CatalogueChange(put=(model("iris"),), values={"list": "one"}))
    assert store.get_value("list") == "one"
    refusal(store, CatalogueChange(put=(model("iris"),), values={"list": "two"}))
    assert store.get_value("list") == "one"
    store.change_catalogue(CatalogueChange(values={"list": "three"}))
    assert (store.get_value("list"), store.models()) == ("three", (model("iris"),))
