"""A reload over gRPC means the same list as the file, and is refused in the original's words."""

from __future__ import annotations

from typing import Any

import pytest

from salver.errors import Code, RequestError
from salver.operations import models
from salver.operations.methods import GrpcStatus
from salver.types import PolicyKind, VersionPolicy
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.rpc.reload import open_reload, read_reload, reload_failure, write_reload

Policy = tfs.FileSystemStoragePathSourceConfig.ServableVersionPolicy


def request(**model: Any) -> tfs.ReloadConfigRequest:
    listed = tfs.ModelConfig(**{"name": "m", "base_path": "/m", "model_platform": "tensorflow", **model})
    config = tfs.ModelServerConfig(model_config_list=tfs.ModelConfigList(config=[listed]))
    return open_reload(tfs.ReloadConfigRequest(config=config).SerializeToString())


def read(**model: Any) -> models.ConfiguredModel:
    (found,) = read_reload(request(**model)).models
    return found


@pytest.mark.parametrize(
    ("policy", "wanted"),
    [
        (Policy(), VersionPolicy()),
        (Policy(latest=Policy.Latest()), VersionPolicy()),
        (Policy(latest=Policy.Latest(num_versions=3)), VersionPolicy(count=3)),
        (Policy(all=Policy.All()), VersionPolicy(kind=PolicyKind.ALL)),
        (
            Policy(specific=Policy.Specific(versions=[3, 1, 3])),
            VersionPolicy(kind=PolicyKind.SPECIFIC, versions=(1, 3)),
        ),
    ],
)
def test_policies_are_those_of_the_file(policy: Any, wanted: VersionPolicy) -> None:
    found = read(model_version_policy=policy, version_labels={"stable": 1})
    assert (found.policy.kind, found.policy.count, found.policy.versions) == (
        wanted.kind,
        wanted.count,
        wanted.versions,
    )
    assert found.policy.highest_answers
    assert (found.name, found.base_path, found.labels) == ("m", "/m", {"stable": 1})


def test_the_platform_may_be_named_as_it_was_long_ago() -> None:
    assert read().platform == "tensorflow"
    assert read(model_platform="", model_type=tfs.TENSORFLOW).platform == "tensorflow"
    assert read(model_platform="", model_type=tfs.OTHER).platform == "other"


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (tfs.ReloadConfigRequest(), "Only ModelConfigList is currently supported"),
        (request(model_platform=""), "Illegal setting neither"),
        (request(model_type=tfs.TENSORFLOW), "Illegal setting both"),
    ],
)
def test_what_is_no_list_is_refused(message: tfs.ReloadConfigRequest, words: str) -> None:
    with pytest.raises(RequestError, match=words):
        read_reload(message)


def test_bytes_that_are_no_message_are_refused() -> None:
    with pytest.raises(RequestError, match=r"no tensorflow\.serving\.ReloadConfigRequest"):
        open_reload(b"\xff")


def test_the_answer_is_a_status_that_says_ok() -> None:
    answer = tfs.ReloadConfigResponse.FromString(write_reload(models.Configured(), request()))
    assert answer.HasField("status")
    assert (answer.status.error_code, answer.status.error_message) == (0, "")


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.CONFLICT, GrpcStatus.FAILED_PRECONDITION),
        (Code.LOAD_FAILED, GrpcStatus.FAILED_PRECONDITION),
        (Code.INVALID_INPUT, GrpcStatus.INVALID_ARGUMENT),
        (Code.PERMISSION_DENIED, GrpcStatus.PERMISSION_DENIED),
    ],
)
def test_errors_have_the_originals_status(code: Code, status: GrpcStatus) -> None:
    assert reload_failure(RequestError(code, "no", fix="yes"), request()).status == status
