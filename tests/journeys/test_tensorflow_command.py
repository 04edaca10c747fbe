"""TensorFlow Serving's command lines, as users write them, start a server that answers as they expect."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

import grpc
import pytest
import requests
from journey_original import SALVER, free_ports, original, refused
from journey_server import START_S, Server, eventually

import salver
from prediction_logs import predict_log, record
from salver.wire.tfserving.pb import serving_pb2 as tfs
from salver.wire.tfserving.pb import tensorflow_pb2 as tf

HALF = "def predict(x: float) -> float:\n    return x / 2 + {version}\n"
COUNTING = """
calls = 0


def predict(x: float) -> float:
    global calls
    calls += 1
    return float(calls)
"""


def write_version(folder: Path, version: int, code: str = HALF, name: str | None = None) -> Path:
    """A version's folder, complete from the moment it has its name."""
    staged = folder.parent / f".staged-{folder.name}-{version}"
    staged.mkdir(parents=True)
    (staged / "model.py").write_text(code.replace("{version}", str(version)))
    folder.mkdir(exist_ok=True)
    return staged.rename(folder / (name or str(version)))


def config(*models: str) -> str:
    return "model_config_list {\n" + "\n".join(f"  config {{ {model} }}" for model in models) + "\n}\n"


def model(name: str, folder: Path, more: str = "") -> str:
    return f'name: "{name}" base_path: "{folder}" model_platform: "tensorflow" {more}'


class Rest:
    """TensorFlow Serving's REST API at a port."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def predict(self, place: str, value: float = 2.0) -> requests.Response:
        return requests.post(f"{self.url}/v1/models/{place}:predict", json={"instances": [value]}, timeout=10)

    def answer(self, place: str, value: float = 2.0) -> float:
        answer: float = self.predict(place, value).json()["predictions"][0]
        return answer

    def states(self, name: str) -> dict[str, str]:
        answer = requests.get(f"{self.url}/v1/models/{name}", timeout=10).json()
        return {each["version"]: each["state"] for each in answer.get("model_version_status", [])}

    def wait_available(self, name: str, *versions: int) -> None:
        """Until these versions are available and no others are."""
        wanted = {str(version) for version in versions}
        eventually(
            lambda: {version for version, state in self.states(name).items() if state == "AVAILABLE"} == wanted,
            START_S,
            f"the versions {sorted(wanted)} of {name} are available: {self.states(name)}",
        )


@pytest.fixture
def ports() -> list[int]:
    return free_ports(2)


@pytest.fixture
def rest(ports: list[int]) -> Rest:
    return Rest(ports[1])


@pytest.fixture
def models(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def wait_for_note(server: Server, text: str) -> None:
    eventually(lambda: text in server.printed, START_S, f"the server says {text!r}")


# One model


@pytest.mark.parametrize("sign", ["=", " "])
def test_a_model_is_served_from_its_folder(
    sign: str, ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    flags = {
        "--port": str(ports[0]),
        "--rest_api_port": str(ports[1]),
        "--model_name": "half",
        "--model_base_path": str(models / "half"),
    }
    words = [word for name, value in flags.items() for word in f"{name}{sign}{value}".split(" ")]
    with original(*words, folder=tmp_path):
        rest.wait_available("half", 1)
        assert rest.answer("half") == 2.0
        assert rest.answer("half/versions/1", 4.0) == 3.0
        metadata = requests.get(f"{rest.url}/v1/models/half/metadata", timeout=10).json()
        assert metadata["model_spec"] == {"name": "half", "signature_name": "", "version": "1"}


def test_the_name_is_default_when_nobody_says_otherwise(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 7, name="00000007")
    with original(
        f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}", folder=tmp_path
    ):
        rest.wait_available("default", 7)
        assert rest.answer("default") == 8.0


@pytest.mark.slow
def test_the_variables_of_the_container_say_what_is_served(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    """As the entrypoint of the original's image does, with what the container's user adds."""
    write_version(models / "half", 1)
    entrypoint = (
        f"exec {' '.join(SALVER)} tensorflow-model-server --port={ports[0]} --rest_api_port={ports[1]} "
        '--model_name=${MODEL_NAME} --model_base_path=${MODEL_BASE_PATH}/${MODEL_NAME} "$@"'
    )
    line = ["/bin/sh", "-c", entrypoint, "sh", "--rest_api_timeout_in_ms=5000"]
    variables = {"MODEL_NAME": "half", "MODEL_BASE_PATH": str(models)}
    with original(folder=tmp_path, line=line, environment=variables):
        rest.wait_available("half", 1)
    bare = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
    with original(*bare, folder=tmp_path, environment=variables):
        rest.wait_available("half", 1)


def test_a_version_that_is_put_into_the_folder_takes_over(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    (models / "half" / "notes").mkdir()
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--model_name=half", "--file_system_poll_wait_seconds=1", folder=tmp_path):
        rest.wait_available("half", 1)
        write_version(models / "half", 2)
        rest.wait_available("half", 2)
        assert rest.answer("half") == 3.0
        assert rest.predict("half/versions/1").status_code == 404


def test_an_empty_folder_is_waited_for(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'late'}"]
    (models / "late").mkdir()
    with original(*line, "--model_name=late", folder=tmp_path) as server:
        wait_for_note(server, f"No versions of servable late found under base path {models / 'late'}")
        answer = rest.predict("late")
        assert (answer.status_code, answer.json()) == (404, {"error": "Servable not found for request: Latest(late)"})
        write_version(models / "late", 3)
        rest.wait_available("late", 3)


def test_a_version_that_is_no_model_is_shown_with_its_reason(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    (models / "bad" / "1").mkdir(parents=True)
    (models / "bad" / "1" / "readme.txt").write_text("no model")
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'bad'}"]
    with original(*line, "--model_name=bad", folder=tmp_path):
        status = eventually(
            lambda: requests.get(f"{rest.url}/v1/models/bad", timeout=10).json().get("model_version_status"),
            START_S,
            "the version is shown",
        )
        assert [(each["version"], each["state"]) for each in status] == [("1", "END")]
        assert status[0]["status"]["error_code"] == "UNKNOWN"
        assert "holds no model that is known" in status[0]["status"]["error_message"]


# Many models


def test_a_configuration_names_models_policies_and_labels(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    for version in (1, 2, 3):
        write_version(models / "half", version)
        write_version(models / "other", version)
    policy = "model_version_policy { specific { versions: 1 versions: 2 } }"
    labels = "version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 2 }"
    file = tmp_path / "models.config"
    file.write_text(
        config(
            model("half", models / "half", policy + labels),
            model("other", models / "other", "model_version_policy: { latest: { num_versions: 2 } }"),
            model("every", models / "half", "model_version_policy { all {} }"),
        )
    )
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={file}", "--model_name=ignored"]
    with original(*line, folder=tmp_path):
        rest.wait_available("half", 1, 2)
        rest.wait_available("other", 2, 3)
        rest.wait_available("every", 1, 2, 3)
        assert (rest.answer("half/labels/stable"), rest.answer("half/labels/canary")) == (2.0, 3.0)
        assert rest.answer("half") == 3.0, "the highest answers, whatever is labelled stable"
        answer = rest.predict("half/labels/beta")
        assert (answer.status_code, answer.json()) == (400, {"error": "Unrecognized servable version label: beta"})
        assert rest.predict("ignored").status_code == 404


@pytest.mark.slow
def test_a_configuration_file_that_changes_is_applied(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    for name in ("half", "other"):
        write_version(models / name, 1)
        write_version(models / name, 2)
    file = tmp_path / "models.config"
    file.write_text(config(model("half", models / "half")))
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={file}"]
    with original(*line, "--model_config_file_poll_wait_seconds=1", folder=tmp_path) as server:
        rest.wait_available("half", 2)
        file.write_text(
            config(model("half", models / "half", "model_version_policy { all {} }"), model("other", models / "other"))
        )
        rest.wait_available("half", 1, 2)
        rest.wait_available("other", 2)

        file.write_text("model_config_list { config { name: 3 } }")
        wait_for_note(server, "Error parsing text-format tensorflow.serving.ModelServerConfig: line 1, column 36")
        assert (rest.answer("half"), rest.answer("other")) == (3.0, 3.0), "a file that is no good changes nothing"

        file.write_text(config(model("other", models / "other", "version_labels { key: 'old' value: 1 }")))
        wait_for_note(server, "Request to assign label to version 1 of model other, which is not currently available")
        assert rest.answer("half") == 3.0

        file.write_text(config(model("other", models / "other")))
        eventually(lambda: not rest.states("half"), START_S, "the model that the file names no more is unloaded")
        assert rest.answer("other") == 3.0


def test_a_model_that_cannot_be_loaded_takes_nothing_with_it(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    write_version(
        models / "broken", 1, "raise RuntimeError('no weights')\n\n\ndef predict(x: float) -> float:\n    return x\n"
    )
    file = tmp_path / "models.config"
    file.write_text(config(model("half", models / "half")))
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={file}"]
    with original(*line, "--model_config_file_poll_wait_seconds=1", folder=tmp_path) as server:
        rest.wait_available("half", 1)
        file.write_text(config(model("broken", models / "broken")))
        wait_for_note(server, "Some models did not become available: {broken}")
        assert rest.answer("half") == 2.0
        assert rest.states("broken") == {}


@pytest.mark.slow
def test_what_the_file_says_counts_after_a_restart(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    for name in ("half", "other"):
        write_version(models / name, 1)
    file = tmp_path / "models.config"
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_config_file={file}"]
    file.write_text(config(model("half", models / "half", "version_labels { key: 'stable' value: 1 }")))
    with original(*line, folder=tmp_path):
        rest.wait_available("half", 1)
    file.write_text(config(model("other", models / "other")))
    with original(*line, folder=tmp_path):
        rest.wait_available("other", 1)
        assert rest.states("half") == {}


# Metrics, warm-up, batches, other flags


def test_metrics_have_the_names_that_dashboards_read(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    file = tmp_path / "monitoring.config"
    file.write_text('prometheus_config { enable: true, path: "/monitoring/prometheus/metrics" }')
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--model_name=half", f"--monitoring_config_file={file}", folder=tmp_path):
        rest.wait_available("half", 1)
        rest.answer("half")
        assert requests.post(f"{rest.url}/v1/models/half:predict", json={}, timeout=10).status_code == 400
        page = requests.get(f"{rest.url}/monitoring/prometheus/metrics", timeout=10)
        assert page.headers["Content-Type"].startswith("text/plain")
        lines = page.text.splitlines()
        assert "# TYPE :tensorflow:serving:request_count counter" in lines
        assert ':tensorflow:serving:request_count{model_name="half",status="OK"} 1' in lines
        assert ':tensorflow:serving:request_count{model_name="half",status="INVALID_ARGUMENT"} 1' in lines
        assert ':tensorflow:serving:request_latency_count{model_name="half"} 2' in lines
        assert ':tensorflow:serving:request_example_count_total{model="half"} 1' in lines
        assert any(line.startswith("salver_requests_total{") for line in lines)


@pytest.mark.parametrize(
    ("flags", "calls"),
    [([], 3), (["--num_request_iterations_for_warmup=2"], 6), (["--enable_model_warmup=false"], 0)],
)
def test_recorded_requests_warm_a_model_up(
    flags: list[str], calls: int, ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    folder = write_version(models / "counting", 1, COUNTING)
    extra = folder / "assets.extra"
    extra.mkdir()
    log = predict_log("x", struct.pack("<d", 1.0))
    (extra / "tf_serving_warmup_requests").write_bytes(b"".join(record(log) for _ in range(3)))
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'counting'}"]
    with original(*line, *flags, "--model_name=counting", folder=tmp_path):
        rest.wait_available("counting", 1)
        assert rest.answer("counting") == calls + 1


def test_batching_parameters_bound_the_batches(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    code = (
        "import numpy\n\n\ndef predict(x: numpy.ndarray) -> numpy.ndarray:\n"
        "    return numpy.full(len(x), float(len(x)))\n"
    )
    write_version(models / "rows", 1, code)
    file = tmp_path / "batching.config"
    file.write_text("max_batch_size { value: 3 }\nnum_batch_threads { value: 8 }\n")
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'rows'}"]
    with original(
        *line, "--model_name=rows", "--enable_batching", f"--batching_parameters_file={file}", folder=tmp_path
    ) as server:
        wait_for_note(server, "num_batch_threads: a model takes one batch for each of its replicas")
        rest.wait_available("rows", 1)
        body = {"instances": [[value] for value in range(7)]}
        answer = requests.post(f"{rest.url}/v1/models/rows:predict", json=body, timeout=10).json()
        assert answer == {"predictions": [3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 1.0]}


def test_answers_may_be_read_by_pages_of_any_origin_when_the_flag_says_so(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--rest_api_enable_cors_support", "--model_name=half", folder=tmp_path):
        rest.wait_available("half", 1)
        assert rest.predict("half").headers["Access-Control-Allow-Origin"] == "*"


def test_the_version_is_told() -> None:
    import subprocess

    done = subprocess.run([*SALVER, "tensorflow-model-server", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"TensorFlow ModelServer: Salver {salver.__version__}")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["--model_base_path=models/half"], "Expected model default to have an absolute path or URI; got base_path()="),
        (["--model_base_path=/m", "--rest_api_prt=1"], "Did you mean --rest_api_port?"),
        (["--model_base_path=/m", "--ssl_config_file=/tls"], "Put a TLS proxy in front of the port"),
        (["--model_base_path=/m", "--port=8500", "--rest_api_port=8500"], "--rest_api_port cannot be same as --port"),
        (["--model_base_path=/m", "--port=many"], "--port is a whole number, not 'many'"),
        (["--model_config_file=/no/such/file"], "/no/such/file cannot be read: No such file or directory"),
        (["--model_base_path=hdfs://host/m"], "Copy or mount it into a folder"),
    ],
)
def test_a_line_that_cannot_be_served_names_cause_and_fix(arguments: list[str], words: str, tmp_path: Path) -> None:
    status, said = refused(*arguments, folder=tmp_path)
    assert status == 2
    assert words in said
    assert "Traceback" not in said


def test_in_a_container_an_open_address_must_be_asked_for(tmp_path: Path) -> None:
    container = {"SALVER_HOST": "", "KUBERNETES_SERVICE_HOST": "10.0.0.1", "MODEL_NAME": "m"}
    status, said = refused("--port=8500", folder=tmp_path, environment=container)
    assert status == 2
    assert "SALVER_HOST=0.0.0.0, SALVER_INSECURE=true and SALVER_ANONYMOUS=all" in said


def test_a_docker_line_works_once_the_container_asks_for_it(
    ports: list[int], rest: Rest, models: Path, tmp_path: Path
) -> None:
    write_version(models / "half", 1)
    asked = {"SALVER_HOST": "0.0.0.0", "SALVER_INSECURE": "true", "SALVER_ANONYMOUS": "all"}
    variables = {"MODEL_NAME": "half", "MODEL_BASE_PATH": str(models), **asked}
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]
    with original(*line, folder=tmp_path, environment=variables):
        rest.wait_available("half", 1)
        headers = {"Host": "models.example.com"}
        answer = requests.post(
            f"{rest.url}/v1/models/half:predict", json={"instances": [2.0]}, headers=headers, timeout=10
        )
        assert answer.json() == {"predictions": [2.0]}


def test_a_folder_that_vanishes_unloads_nothing(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    write_version(models / "half", 1)
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--model_name=half", folder=tmp_path) as server:
        rest.wait_available("half", 1)
        shutil.rmtree(models / "half")
        wait_for_note(server, "what was found in it stays as it was")
        assert rest.answer("half") == 2.0


# gRPC


def reload(
    port: int, key: str, *models: tuple[str, Path], labels: dict[str, int] | None = None
) -> tfs.ReloadConfigResponse:
    listed = [
        tfs.ModelConfig(name=name, base_path=str(folder), model_platform="tensorflow", version_labels=labels or {})
        for name, folder in models
    ]
    request = tfs.ReloadConfigRequest(
        config=tfs.ModelServerConfig(model_config_list=tfs.ModelConfigList(config=listed))
    )
    metadata = [("authorization", f"Bearer {key}")] if key else []
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        call = channel.unary_unary(
            "/tensorflow.serving.ModelService/HandleReloadConfigRequest",
            request_serializer=tfs.ReloadConfigRequest.SerializeToString,
            response_deserializer=tfs.ReloadConfigResponse.FromString,
        )
        answer: tfs.ReloadConfigResponse = call(request, metadata=metadata, timeout=60)
        return answer


def test_a_reload_over_grpc_replaces_the_list(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    for name in ("half", "other"):
        write_version(models / name, 1)
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--model_name=half", folder=tmp_path) as server:
        rest.wait_available("half", 1)
        key = next(row.split()[1] for row in server.printed.splitlines() if row.startswith("key "))
        answer = reload(ports[0], key, ("half", models / "half"), ("other", models / "other"))
        assert answer.status.error_code == 0
        assert (rest.answer("other"), rest.answer("half")) == (2.0, 2.0), "it returns when the new model serves"

        for wanted, labels, sent, status, words in (
            ([("half", models / "half")], {}, "", grpc.StatusCode.UNAUTHENTICATED, "models.configure"),
            ([("half", Path("/etc"))], {}, key, grpc.StatusCode.PERMISSION_DENIED, "lies in no folder"),
            ([("half", models / "half")] * 2, {}, key, grpc.StatusCode.INVALID_ARGUMENT, "multiple times in config"),
            (
                [("half", models / "half")],
                {"x": 9},
                key,
                grpc.StatusCode.FAILED_PRECONDITION,
                "not currently available",
            ),
        ):
            with pytest.raises(grpc.RpcError) as raised:
                reload(ports[0], sent, *wanted, labels=labels)
            assert raised.value.code() is status, raised.value.details()
            assert words in raised.value.details()
        assert (rest.answer("other"), rest.answer("half")) == (2.0, 2.0), "what is refused changes nothing"

        reload(ports[0], key, ("other", models / "other"))
        eventually(lambda: not rest.states("half"), START_S, "the model that is named no more is unloaded")


def test_predictions_over_grpc_need_no_key_here(ports: list[int], rest: Rest, models: Path, tmp_path: Path) -> None:
    write_version(models / "half", 1)
    line = [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", f"--model_base_path={models / 'half'}"]
    with original(*line, "--model_name=half", folder=tmp_path):
        rest.wait_available("half", 1)
        request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="half"))
        request.inputs["x"].dtype = tf.DT_DOUBLE
        request.inputs["x"].tensor_shape.dim.add(size=1)
        request.inputs["x"].double_val.append(2.0)
        with grpc.insecure_channel(f"127.0.0.1:{ports[0]}") as channel:
            predict = channel.unary_unary(
                "/tensorflow.serving.PredictionService/Predict",
                request_serializer=tfs.PredictRequest.SerializeToString,
                response_deserializer=tfs.PredictResponse.FromString,
            )
            answer = predict(request, timeout=10)
        assert [*answer.outputs["output"].double_val] == [2.0]
        assert answer.model_spec.version.value == 1


def test_without_a_rest_port_there_is_grpc_alone(models: Path, tmp_path: Path) -> None:
    write_version(models / "half", 1)
    (port,) = free_ports(1)
    with original(f"--port={port}", f"--model_base_path={models / 'half'}", folder=tmp_path) as server:
        assert server.urls == (f"grpc://127.0.0.1:{port}",)
