"""RELIABILITY T19: the places that models come from vanish, fail, and have what is damaged; what serves goes on."""

from __future__ import annotations

import hashlib
import io
import shutil
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from journey_server import Server, eventually
from journey_versions import MODEL, answered, loads, nothing_was_lost, versions, write_version

from web_server import Answer, WebServer

WATCHED = {"watch_s": 0.1, "quiet_s": 0.3}
OWNER = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=0"}


def told(server: Server, words: str) -> None:
    eventually(lambda: words in server.logs, 20.0, f"the server says: {words}")


@pytest.mark.proof("T19")
@pytest.mark.slow
def test_a_watched_folder_that_vanishes_or_has_damage_costs_nothing(tmp_path: Path, figure: Any, size: Any) -> None:
    folder, away = tmp_path / "watched", tmp_path / "away"
    shutil.copytree(write_version(tmp_path / "built-1", 1), folder / MODEL / "1")
    with versions(tmp_path, folder, **WATCHED) as served, loads(served.server) as (quick, slow):
        for _ in range(size(1, 20)):
            folder.rename(away)
            answered(quick, 60)
            folder.mkdir()
            answered(quick, 60)
            folder.rmdir()
            away.rename(folder)
            answered(quick, 60)
        told(served.server, "source_not_served")

        half = write_version(tmp_path / "built-2", 2)
        code = (half / "app.py").read_bytes()
        (folder / MODEL / "2").mkdir()
        shutil.copy(half / "model.toml", folder / MODEL / "2")
        with (folder / MODEL / "2" / "app.py").open("wb", buffering=0) as file:
            for number in range(len(code) - 1):  # it is copied slowly, and breaks off
                file.write(code[number : number + 1])
                if number % 20 == 0:
                    answered(quick, 1)
        assert {each.version for each in quick.outcomes} == {1}
        shutil.rmtree(folder / MODEL / "2")

        flipped = write_version(tmp_path / "built-3", 3)
        sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(flipped.iterdir())}
        (flipped / "SHA256SUMS").write_text("".join(f"{digest}  {name}\n" for name, digest in sums.items()))
        code = (flipped / "app.py").read_bytes()
        (flipped / "app.py").write_bytes(code.replace(b"3)", b"4)"))
        shutil.copytree(flipped, folder / MODEL / "3")
        told(served.server, "SHA256SUMS has another digest")
        answered(quick, 60)
        assert {each.version for each in quick.outcomes} == {1}

        shutil.copytree(write_version(tmp_path / "built-4", 4), folder / MODEL / "4")
        eventually(lambda: quick.outcomes[-1].version == 4, 20.0, "what is whole serves")
    requests = nothing_was_lost(quick, slow)
    figure(f"folder away and empty {size(1, 20)} times, half a copy, a flipped bit: {requests} requests, 0 lost")


class Lake:
    """A bucket behind a server that bends what it answers."""

    def __init__(self, s3_url: str, bucket: str, web: WebServer) -> None:
        self._s3_url, self._bucket = s3_url, bucket
        self.trouble = ""
        web.answer = self._answer

    def put(self, version: int, name: str, content: bytes) -> None:
        address = f"{self._s3_url}/{self._bucket}/prod/{MODEL}/{version}/{name}"
        assert httpx.put(address, content=content, headers=OWNER, trust_env=False).status_code == 200

    def _answer(self, path: str, headers: dict[str, str]) -> Answer:
        if self.trouble == "fails":
            return 500, {}, b""
        kept = {name: value for name, value in headers.items() if name != "connection"}
        found = httpx.get(f"{self._s3_url}{path}", headers=kept, trust_env=False)
        left_out = ("connection", "server", "date", "transfer-encoding", "content-length", "content-encoding")
        fields = {name: value for name, value in found.headers.items() if name not in left_out}
        body = found.content
        if ".zip" in path and "list-type" not in path:
            body = body[:100] if self.trouble == "cuts off" else body
            body = bytes([body[0] ^ 1]) + body[1:] if self.trouble == "flips a bit" else body
        if self.trouble == "lists nothing" and "list-type" in path:
            body = b'<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>'
        return found.status_code, fields, body


def packed(folder: Path) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for path in folder.iterdir():
            archive.write(path, path.name)
    return file.getvalue()


@pytest.mark.proof("T19")
@pytest.mark.slow
def test_a_store_that_fails_lists_nothing_or_has_damage_costs_nothing(
    tmp_path: Path, figure: Any, s3_url: str, bucket: str, web: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LAKE_KEY", "a")
    monkeypatch.setenv("LAKE_SECRET", "b")
    lake = Lake(s3_url, bucket, web)
    for name in ("app.py", "model.toml"):
        lake.put(1, name, (write_version(tmp_path / "built-1", 1) / name).read_bytes())
    remote = f"lake=s3://{bucket}/prod endpoint={web.url} region=eu key_variable=LAKE_KEY secret_variable=LAKE_SECRET"
    with versions(tmp_path, remotes=[remote], **WATCHED) as served:
        eventually(lambda: MODEL in {model.name for model in served.client.models()}, 20.0, "version 1 is published")
        served.wait_for({1: "READY"})
        with loads(served.server) as (quick, slow):
            for trouble in ("fails", "lists nothing"):
                lake.trouble = trouble
                asked = len(web.requests)
                eventually(lambda asked=asked: len(web.requests) > asked + 3, 20.0, "the store is asked")
                answered(quick, 60)
            for number, trouble in ((2, "flips a bit"), (4, "cuts off")):
                lake.trouble = trouble
                built = write_version(tmp_path / f"built-{number}", number)
                lake.put(number, "more.zip", packed(built))
                for name in ("app.py", "model.toml"):
                    lake.put(number, name, (built / name).read_bytes())
                told(served.server, f"{number}/more.zip came with other bytes")
                answered(quick, 60)
            lake.trouble = ""
            for name in ("app.py", "model.toml"):
                lake.put(5, name, (write_version(tmp_path / "built-5", 5) / name).read_bytes())
            eventually(lambda: quick.outcomes[-1].version == 5, 20.0, "what is whole serves")
        requests = nothing_was_lost(quick, slow)
        seen = {each.version for each in quick.outcomes}
        assert {1, 5} <= seen <= {1, 4, 5}, "the last one that was cut off may come whole once the store is well"
        figure(f"500s, an empty list, a flipped bit, an object cut off: {requests} requests, 0 lost")
