"""The settings that an archive of TorchServe brings, and who wins when several speak of the same thing."""

from __future__ import annotations

from pathlib import Path

import pytest

from salver.errors import Code, LoadError
from salver.models.archivesettings import MAX_BYTES, ArchiveSettings, read_archive_settings
from salver.models.manifest import BatchingSection, Manifest
from salver.models.runwords import RunWords


@pytest.fixture
def read(tmp_path: Path):
    def read(text: str | bytes) -> ArchiveSettings:
        (tmp_path / "model-config.yaml").write_bytes(text.encode() if isinstance(text, str) else text)
        return read_archive_settings(tmp_path, "model-config.yaml")

    return read


def test_the_servers_part_says_how_the_model_is_run(read) -> None:
    found = read("minWorkers: 2\nmaxWorkers: 4\nbatchSize: 8\nmaxBatchDelay: 50\nresponseTimeout: 9\njobQueueSize: 7\n")
    assert found.words == RunWords(
        replicas=2, max_batch_rows=8, max_batch_delay_ms=50.0, max_queue_rows=7, deadline_s=9.0
    )
    assert found.notes == ()


def test_the_handler_gets_all_of_it_in_plain_values(read) -> None:
    found = read("minWorkers: 1\nhandler:\n  labels: [cat, 1, 2.5, true, null]\n  since: 2024-01-02\n7: x\n")
    assert found.config == {
        "minWorkers": 1,
        "handler": {"labels": ["cat", 1, 2.5, True, None], "since": "2024-01-02"},
        "7": "x",
    }


def test_an_empty_file_says_nothing(read) -> None:
    assert read("# nothing\n") == ArchiveSettings()


def test_what_changes_nothing_here_is_told(read) -> None:
    notes = read("deviceType: gpu\nuseVenv: true\nminWorkers: 0\nbatchSize: many\n").notes
    assert notes == (
        "model-config.yaml: batchSize must be a whole number, 1 or more, and is not followed",
        "model-config.yaml: minWorkers is 0, and a model that is loaded has one worker at least",
        "model-config.yaml: deviceType changes nothing: a worker chooses its own device",
        "model-config.yaml: useVenv changes nothing: the model's environment is named in model.toml",
    )


def test_bounds_that_contradict_each_other_are_told(read) -> None:
    found = read("minWorkers: 3\nmaxWorkers: 1\nbatchSize: true\n")
    assert found.words.replicas == 3
    assert "model-config.yaml: maxWorkers is 1, below minWorkers, and is not followed" in found.notes


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]\n" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [", "is no YAML that can be read"),
        ("- 1\n", "is no YAML mapping"),
        ("3", "is no YAML mapping"),
        ("a: !!python/object/apply:os.system ['true']", "is no YAML that can be read"),
        (BOMB, "more than 20000 values"),
        ("a: " + "[" * 70 + "]" * 70, "nested deeper than 64 levels"),
        ("a: " + "[" * 5000 + "]" * 5000, "is no YAML that can be read"),
        (b"a: \xff", "is no YAML that can be read"),
        ("a" * (MAX_BYTES + 1), "is larger than"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(read, text, why: str) -> None:
    with pytest.raises(LoadError, match=why) as caught:
        read(text)
    assert caught.value.code is Code.MANIFEST_INVALID


def test_a_file_that_is_missing_is_told(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"no\.yaml, the archive's settings, cannot be read"):
        read_archive_settings(tmp_path, "no.yaml")


def test_a_file_outside_of_the_archive_is_never_read(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("a: 1")
    folder = tmp_path / "archive"
    folder.mkdir()
    with pytest.raises(LoadError, match="cannot be read"):
        read_archive_settings(folder, "../secret.yaml")


# Who wins


def test_the_manifest_wins_over_other_words() -> None:
    manifest = Manifest(replicas=1, deadline_s=2.0, handler="a", batching=BatchingSection(max_batch_rows=3))
    words = RunWords(replicas=5, max_batch_rows=6, max_batch_delay_ms=7.0, deadline_s=8.0, handler="b")
    told = words.under(manifest)
    assert (told.replicas, told.deadline_s, told.handler) == (1, 2.0, "a")
    assert (told.batching.max_batch_rows, told.batching.max_batch_delay_ms) == (3, 7.0)


def test_words_fill_what_the_manifest_leaves_open() -> None:
    told = RunWords(replicas=5, max_queue_rows=9).under(Manifest())
    assert (told.replicas, told.batching.max_queue_rows, told.deadline_s) == (5, 9, None)


@pytest.mark.parametrize(("rows", "delay_ms"), [(1, None), (4, 100.0), (None, None)])
def test_a_batch_waits_as_long_as_in_the_original_when_nobody_says(rows: int | None, delay_ms: float | None) -> None:
    assert RunWords(max_batch_rows=rows).under(Manifest()).batching.max_batch_delay_ms == delay_ms
