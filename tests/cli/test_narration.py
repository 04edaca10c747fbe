import io

import pytest

from salver.cli.narration import Narrator
from salver.cli.terminal import console
from salver.events import (
    Address,
    EnvironmentBuilding,
    FirstRunKey,
    Listening,
    ModelFailed,
    ModelFound,
    ModelReady,
    Stopped,
    Stopping,
)
from salver.types import (
    BatchSettings,
    ModelVersion,
    PayloadKind,
    Signature,
    TensorSpec,
    VersionInfo,
    VersionState,
    VersionStatus,
)

LISTENING = Listening(
    addresses=(Address(url="http://127.0.0.1:8080", wires=("tfserving", "mms", "native")),), data_dir="/data"
)
FOUND = ModelFound(
    name="m", version=1, runtime="onnx", source="m.onnx", environment="/usr/bin/python3", label="ONNX model"
)


def ready(name: str = "m") -> ModelReady:
    spec = TensorSpec(name="x", datatype="FP32", shape=(-1, 2))
    info = VersionInfo(
        id=ModelVersion(name, 1),
        runtime="onnx",
        payload=PayloadKind.TENSORS,
        signatures={"serving_default": Signature(inputs=(spec,), outputs=(spec,))},
        batching=BatchSettings(),
        has_batch_dimension=True,
        is_idempotent=True,
    )
    return ModelReady(status=status(VersionState.READY, name=name), info=info)


def status(state: VersionState, *, name: str = "m", reason: str = "", fix: str = "", log: tuple[str, ...] = ()):
    return VersionStatus(
        id=ModelVersion(name, 1),
        state=state,
        runtime="onnx",
        source="m.onnx",
        environment="python",
        replicas_wanted=1,
        reason=reason,
        fix=fix,
        log_tail=log,
    )


@pytest.fixture
def told():
    """What the narrator prints for a list of events."""

    def tell(*events, **options) -> list[str]:
        out = io.StringIO()
        narrator = Narrator(console(out), **options)
        for event in events:
            narrator(event)
        return [line.rstrip() for line in out.getvalue().splitlines()]

    return tell


def test_what_was_found_is_told_with_runtime_and_environment(told):
    first, second = told(FOUND)
    assert first == "found    m version 1: ONNX model, from m.onnx"
    assert second.strip() == "runtime onnx, environment /usr/bin/python3"


def test_commands_follow_once_both_the_model_and_the_address_are_there(told):
    commands = ["curl http://127.0.0.1:8080/v1/models/m:predict" in line for line in told(LISTENING, ready())]
    assert any(commands)
    assert told(LISTENING, ready())[-1] == told(ready(), LISTENING)[-1]


def test_before_the_address_is_known_there_are_no_commands(told):
    assert not any("curl" in line for line in told(ready()))


def test_a_restart_does_not_repeat_the_commands(told):
    once, twice = told(LISTENING, ready()), told(LISTENING, ready(), ready())
    assert len([line for line in twice if "curl" in line]) == len([line for line in once if "curl" in line]) == 3


def test_every_address_is_told_with_its_protocols(told):
    lines = told(LISTENING)
    assert lines[0] == "serving  http://127.0.0.1:8080  (tfserving, mms, native)"
    assert "data in /data" in lines[1]


def test_where_every_caller_needs_a_key_the_commands_name_it(told):
    assert any("$SALVER_KEY" in line for line in told(LISTENING, ready(), needs_key=True))


def test_a_failure_is_told_with_its_log_and_the_fix(told):
    failed = status(
        VersionState.FAILED, reason="[Errno 2] no such file", fix="Copy it.", log=("one", "[bold]two[/bold]")
    )
    lines = told(ModelFailed(status=failed))
    assert lines[0] == "failed   m version 1: [Errno 2] no such file"
    assert [line.strip() for line in lines[1:]] == ["| one", "| [bold]two[/bold]", "fix: Copy it."]


def test_how_far_an_environment_is_is_told(told):
    building = status(VersionState.BUILDING, reason="Its environment is being built: installing 2 packages.")
    assert told(EnvironmentBuilding(status=building)) == [
        "building m version 1: Its environment is being built: installing 2 packages."
    ]


def test_only_the_end_of_a_long_log_is_told(told):
    failed = status(VersionState.FAILED, reason="no", log=tuple(f"line {number}" for number in range(50)))
    assert [line.strip() for line in told(ModelFailed(status=failed))][1:] == [f"| line {n}" for n in range(40, 50)]


def test_the_first_key_stands_alone_so_that_it_can_be_copied(told):
    assert told(FirstRunKey(key="msk_a_b_c"))[0].split() == ["key", "msk_a_b_c"]


def test_the_end_is_told(told):
    assert told(Stopping(reason="SIGTERM was received"), Stopped()) == [
        "stopping SIGTERM was received; finishing what is in flight",
        "stopped",
    ]


def test_long_commands_are_not_broken_into_lines(told):
    lines = told(LISTENING, ready("m" * 300))
    assert any(line.endswith('{"instances": [[0.0, 0.0]]}\'') for line in lines)
