"""Models in a real S3 server, and in one that loses, breaks and bends what it has."""

from __future__ import annotations

import asyncio
import hashlib
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from salver.errors import Code, LoadError, StartupError
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.buckets import BucketSource
from salver.models.remotes.references import parse_remotes
from salver.models.remotes.stores import remote_store
from salver.models.trees import TreeLimits
from web_server import Answer, WebServer

QUIET_S = 60.0
FAR = 4e9
"""A time by which everything is at rest."""
MODEL = b"weights" * 1000
OWNER = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/20260101/eu/s3/aws4_request, SignedHeaders=host, Signature=0"}


class Lake:
    """A bucket, its source, and a clock that is moved by hand. Requests go through a server that may bend them."""

    def __init__(self, s3_url: str, bucket: str, web: WebServer, folder: Path) -> None:
        self.s3_url, self.bucket, self.web, self.folder = s3_url, bucket, web, folder
        self.now = FAR
        self.bend = lambda path, answer: answer
        web.answer = self._passed_on
        self.source = self.watch()

    def watch(self, **more: Any) -> BucketSource:
        text = f"lake=s3://{self.bucket}/prod endpoint={self.web.url} region=eu key_variable=KEY secret_variable=SECRET"
        remote = parse_remotes([text])["lake"]
        environment = {"KEY": "a", "SECRET": "b"}
        store = remote_store(remote, environment)
        return BucketSource("lake", remote.url, store, quiet_s=QUIET_S, clock=lambda: self.now, **more)

    def put(self, name: str, content: bytes = MODEL) -> None:
        answer = httpx.put(f"{self.s3_url}/{self.bucket}/{name}", content=content, headers=OWNER, trust_env=False)
        assert answer.status_code == 200

    def delete(self, name: str) -> None:
        assert httpx.delete(f"{self.s3_url}/{self.bucket}/{name}", headers=OWNER, trust_env=False).status_code == 204

    def look(self, after_s: float = 0.0) -> dict[str, Seen]:
        self.now += after_s
        return {str(seen.id): seen for seen in asyncio.run(self.source.look())}

    def gone(self) -> str:
        with pytest.raises(SourceGone) as caught:
            self.look(QUIET_S)
        assert caught.value.code is Code.LOAD_FAILED
        return caught.value.message.partition("cannot be read: ")[2].partition(";")[0]

    def refused(self, seen: Seen) -> str:
        with pytest.raises(LoadError) as caught:
            seen.fetch(self.folder)
        assert not isinstance(caught.value, SourceGone)
        return caught.value.message.replace(f"s3://{self.bucket}", "s3://bucket")

    def _passed_on(self, path: str, headers: dict[str, str]) -> Answer:
        kept = {name: value for name, value in headers.items() if name != "connection"}
        found = httpx.get(f"{self.s3_url}{path}", headers=kept, trust_env=False)
        left_out = ("connection", "server", "date", "transfer-encoding", "content-length", "content-encoding")
        fields = {name: value for name, value in found.headers.items() if name not in left_out}
        return self.bend(path, (found.status_code, fields, found.content))


@pytest.fixture
def lake(s3_url: str, bucket: str, web: WebServer, tmp_path: Path) -> Lake:
    (tmp_path / "staging").mkdir()
    return Lake(s3_url, bucket, web, tmp_path / "staging")


def test_versions_are_listed_and_fetched(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx")
    lake.put("prod/spam/0002/model.onnx", b"newer")
    lake.put("prod/spam/0002/extra/words.txt", b"words")
    lake.put("prod/spam/readme.txt")
    lake.put("prod/spam/drafts/model.onnx")
    lake.put("prod/-odd-/1/model.onnx")
    lake.put("test/spam/9/model.onnx")
    seen = lake.look()
    assert list(seen) == ["spam/1", "spam/2"]
    assert seen["spam/2"].source == f"s3://{lake.bucket}/prod/spam/0002"
    assert seen["spam/2"].fetch(lake.folder) == lake.folder
    assert (lake.folder / "extra" / "words.txt").read_bytes() == b"words"
    assert (lake.folder / "model.onnx").read_bytes() == b"newer"


def test_many_objects_are_listed_over_many_pages(lake: Lake) -> None:
    for number in range(1, 5):
        lake.put(f"prod/spam/{number}/model.onnx")

    passed_on = lake.web.answer
    lake.web.answer = lambda path, headers: passed_on(path.replace("list-type=2", "list-type=2&max-keys=1"), headers)
    assert list(lake.look()) == ["spam/1", "spam/2", "spam/3", "spam/4"]
    assert sum("list-type=2" in path for path, _ in lake.web.requests) >= 4


def test_a_listing_that_breaks_in_the_middle_is_no_answer(lake: Lake) -> None:
    for number in range(1, 5):
        lake.put(f"prod/spam/{number}/model.onnx")
    passed_on = lake.web.answer
    lake.web.answer = lambda path, headers: (
        (403, {}, b"")
        if "continuation-token" in path
        else passed_on(path.replace("list-type=2", "list-type=2&max-keys=1"), headers)
    )
    assert lake.gone() == "it does not answer as it should"


def test_a_version_that_is_still_uploaded_is_not_seen(lake: Lake) -> None:
    lake.now = time.time()
    lake.put("prod/spam/1/part-1")
    assert lake.look() == {}
    assert lake.look(QUIET_S - 5) == {}
    lake.put("prod/spam/1/part-2")
    assert lake.look(5) == {}
    assert lake.look(QUIET_S - 1) == {}
    assert list(lake.look(1)) == ["spam/1"]


def test_a_version_that_says_it_is_complete_is_seen_at_once(lake: Lake) -> None:
    lake.now = 0.0
    lake.put("prod/spam/1/model.onnx")
    lake.put("prod/spam/1/.complete", b"")
    assert list(lake.look()["spam/1"].fetch(lake.folder).iterdir()) == [lake.folder / "model.onnx"]


def test_a_changed_version_stays_until_the_new_one_is_at_rest(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx")
    first = lake.look()["spam/1"]
    lake.put("prod/spam/1/model.onnx", b"other")
    assert lake.look(QUIET_S)["spam/1"].stamp == first.stamp
    assert lake.refused(first) == "s3://bucket/prod/spam/1/model.onnx changed or went away while it was fetched."
    assert lake.look(QUIET_S)["spam/1"].stamp != first.stamp


def test_a_removed_version_is_gone_when_that_is_at_rest(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx")
    lake.put("prod/spam/2/model.onnx")
    seen = lake.look()["spam/1"]
    lake.delete("prod/spam/1/model.onnx")
    assert list(lake.look()) == ["spam/1", "spam/2"]
    assert "changed or went away" in lake.refused(seen)
    assert list(lake.look(QUIET_S)) == ["spam/2"]


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_store_that_fails_is_no_empty_answer(lake: Lake, status: int) -> None:
    lake.put("prod/spam/1/model.onnx")
    before = lake.look()
    bend, lake.bend = lake.bend, lambda path, answer: (status, {}, b"")
    assert lake.gone() == "it does not answer as it should"
    lake.bend = bend
    assert lake.look().keys() == before.keys()


def test_a_store_that_is_not_there_is_told(lake: Lake) -> None:
    lake.web.server.server_close()
    assert lake.gone() == "it does not answer as it should"


def test_a_bucket_that_vanished_or_was_emptied_is_no_empty_answer(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx")
    lake.look()
    lake.delete("prod/spam/1/model.onnx")
    assert lake.gone() == "it lists nothing any more"
    httpx.delete(f"{lake.s3_url}/{lake.bucket}", headers=OWNER, trust_env=False)
    assert lake.gone() == "it does not answer as it should"


def test_an_empty_bucket_is_an_answer_at_first(lake: Lake) -> None:
    assert lake.look() == {}


def bent(lake: Lake, change: Any) -> Seen:
    """A version whose object comes as `change` makes it."""
    lake.put("prod/spam/1/model.onnx")
    seen = lake.look()["spam/1"]

    def bend(path: str, answer: Answer) -> Answer:
        status, fields, body = answer
        return (status, fields, change(body)) if "model.onnx" in path else answer

    lake.bend = bend
    return seen


def test_a_flipped_bit_is_refused(lake: Lake) -> None:
    seen = bent(lake, lambda body: bytes([body[0] ^ 1]) + body[1:])
    message = "s3://bucket/prod/spam/1/model.onnx came with other bytes than its ETag and size say."
    assert lake.refused(seen) == message


@pytest.mark.parametrize("length", [0, 10, len(MODEL) - 1])
def test_an_object_that_is_cut_off_is_refused(lake: Lake, length: int) -> None:
    seen = bent(lake, lambda body: body[:length])
    assert "came with other bytes" in lake.refused(seen)


def test_an_object_that_is_longer_is_refused(lake: Lake) -> None:
    seen = bent(lake, lambda body: body + b"more")
    assert "came with other bytes" in lake.refused(seen)


def test_a_store_that_fails_while_fetching_is_asked_again_later(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx")
    seen = lake.look()["spam/1"]
    lake.bend = lambda path, answer: (403, {}, b"")
    with pytest.raises(SourceGone):
        seen.fetch(lake.folder)


def test_sums_that_disagree_are_refused(lake: Lake) -> None:
    lake.put("prod/spam/1/model.onnx", b"bad bytes, well kept")
    lake.put("prod/spam/1/SHA256SUMS", f"{hashlib.sha256(MODEL).hexdigest()}  model.onnx\n".encode())
    assert "model.onnx is damaged: SHA256SUMS has another digest for it." in lake.refused(lake.look()["spam/1"])


@pytest.mark.parametrize("limits", [TreeLimits(max_files=1), TreeLimits(max_bytes=len(MODEL))])
def test_versions_that_are_too_large_are_refused(lake: Lake, limits: TreeLimits) -> None:
    lake.source = lake.watch(limits=limits)
    lake.put("prod/spam/1/model.onnx")
    lake.put("prod/spam/1/words.txt")
    assert "has 2 objects and 14000 bytes, more than one artefact may." in lake.refused(lake.look()["spam/1"])


@pytest.mark.parametrize("name", ["a\\b", "c:x"])
def test_names_that_are_not_portable_are_refused(lake: Lake, name: str) -> None:
    lake.put(f"prod/spam/1/{name}".replace("\\", "%5C"))
    assert lake.refused(lake.look()["spam/1"]) == f"s3://bucket/prod/spam/1 has the unsafe name {name!r}."


def test_objects_that_stand_for_folders_are_none(lake: Lake) -> None:
    lake.put("prod/spam/1/sub/", b"")
    lake.put("prod/spam/1/sub/model.onnx")
    lake.look()["spam/1"].fetch(lake.folder)
    assert [path.name for path in lake.folder.rglob("*")] == ["sub", "model.onnx"]


def test_a_variable_that_is_not_set_is_told() -> None:
    remote = parse_remotes(["lake=s3://bucket key_variable=KEY"])["lake"]
    with pytest.raises(StartupError, match="names the variable KEY, which is not set"):
        remote_store(remote, {})


def test_the_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "obstore.store", None)
    with pytest.raises(StartupError) as caught:
        remote_store(parse_remotes(["lake=s3://bucket"])["lake"], {})
    assert caught.value.fix == "Run `pip install 'salver[s3]'`."
