"""What a configuration may say, and what it makes of a model's record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.errors import Code, RequestError
from salver.models.configured import (
    ConfiguredModel,
    check_configuration,
    check_labels,
    check_roots,
    configured,
    in_bucket,
    local_path,
    unconfigured,
)
from salver.store.base import ModelRecord
from salver.types import PolicyKind, VersionPolicy

LABELS = st.dictionaries(st.sampled_from(["stable", "canary", "old"]), st.integers(1, 3))


def model(name: str = "m", base_path: str = "/models/m", **more: Any) -> ConfiguredModel:
    return ConfiguredModel(name=name, base_path=base_path, **more)


def record(**more: Any) -> ModelRecord:
    return ModelRecord(name="m", updated_at=0.0, updated_by="", **more)


def refusal(*models: ConfiguredModel, before: tuple[ConfiguredModel, ...] = ()) -> RequestError:
    with pytest.raises(RequestError) as raised:
        check_configuration(models, before)
    return raised.value


def test_what_is_sound_is_taken() -> None:
    check_configuration((), ())
    check_configuration((model(), model("n", "file:///models/n", labels={"stable": 1})), (model(),))
    assert local_path("file:///models/n") == "/models/n"
    assert local_path("/models/n") == "/models/n"


def test_a_bucket_has_one_address() -> None:
    check_configuration((model(base_path="s3://bucket"), model("n", "GS://bucket/a b/c/")), ())
    assert in_bucket("GS://bucket/a b/c/") == "gs://bucket/a b/c"
    assert in_bucket("/models/m") is None
    assert in_bucket("file:///models/m") is None


@pytest.mark.parametrize(
    ("models", "words"),
    [
        ((model(), model()), "Illegal to list model m multiple times in config list"),
        ((model(base_path="m"),), "Expected model m to have an absolute path or URI; got base_path()=m"),
        ((model(base_path=""),), "Expected model m to have an absolute path or URI; got base_path()="),
        ((model(base_path="hdfs://host/m"),), "only folders and buckets are served"),
        ((model(base_path="s3://"),), "is no path in a bucket"),
        ((model(base_path="gs://bucket/a/../b"),), "is no path in a bucket"),
        ((model(base_path="s3://key:word@bucket/m"),), "is no path in a bucket"),
        ((model(base_path="/models/\0"),), "is no path"),
        ((model(name="a b"),), "'a b' is no name of a model"),
        ((model(labels={"7": 1}),), "'7' is no label"),
        ((model(policy=VersionPolicy(kind=PolicyKind.SPECIFIC)),), "needs the versions to load"),
    ],
)
def test_what_is_not_sound_is_refused_in_the_originals_words(models: tuple[ConfiguredModel, ...], words: str) -> None:
    error = refusal(*models)
    assert error.code is Code.INVALID_INPUT
    assert words in error.message


def test_a_models_platform_stays() -> None:
    error = refusal(model(platform="other"), before=(model(),))
    assert error.code is Code.CONFLICT
    assert error.message == (
        "Illegal to change a model's platform. For model m platform was tensorflow and new platform requested is other"
    )


@pytest.mark.parametrize(("path", "is_inside"), [("/models", True), ("/models/a/b", True), ("/models2", False)])
def test_base_paths_from_afar_lie_below_the_roots(path: str, is_inside: bool) -> None:
    wanted = (model(base_path="/link"),)
    if is_inside:
        check_roots(wanted, ["/other", "/models"], {"/link": path})
        return
    with pytest.raises(RequestError) as raised:
        check_roots(wanted, ["/other", "/models"], {"/link": path})
    assert raised.value.code is Code.PERMISSION_DENIED


def test_every_folder_lies_below_the_root_of_all() -> None:
    check_roots((model(),), ["/"], {"/models/m": "/models/m"})


@pytest.mark.parametrize(
    ("label", "old", "allow", "is_taken"),
    [
        (1, {}, False, True),
        (9, {}, False, False),
        (9, {}, True, True),
        (9, {"stable": 1}, True, False),
        (9, {"stable": 9}, False, True),
    ],
)
def test_a_label_leads_to_what_can_answer(label: int, old: dict[str, int], allow: bool, is_taken: bool) -> None:
    """With permission a new label may lead elsewhere, one that is moved may not."""
    wanted = model(labels={"stable": label})
    if is_taken:
        check_labels(wanted, old, {1, 2}, allow_unavailable=allow)
        return
    with pytest.raises(RequestError) as raised:
        check_labels(wanted, old, {1, 2}, allow_unavailable=allow)
    assert raised.value.code is Code.CONFLICT
    assert raised.value.message == (
        "Request to assign label to version 9 of model m, which is not currently available for inference"
    )


@given(kept=LABELS, old=LABELS, new=LABELS)
def test_labels_of_others_stay_and_those_of_the_last_configuration_go(
    kept: dict[str, int], old: dict[str, int], new: dict[str, int]
) -> None:
    first = configured(record(labels=kept), model(labels=old), None)
    assert first.labels == {**kept, **old}
    second = configured(first, model(labels=new), model(labels=old))
    others = {label: version for label, version in kept.items() if label not in old}
    assert second.labels == {**others, **new}
    assert unconfigured(second, model(labels=new)).labels == {
        label: version for label, version in others.items() if label not in new
    }


def test_a_configured_model_is_loaded_as_its_policy_says() -> None:
    policy = VersionPolicy(kind=PolicyKind.ALL, highest_answers=True)
    made = configured(record(is_unloaded=True), model(policy=policy), None)
    assert (made.policy, made.is_unloaded) == (policy, False)
    assert unconfigured(made, model()).policy == VersionPolicy()
