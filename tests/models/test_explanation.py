from pathlib import Path

from salver.errors import Code
from salver.models.explanation import explained
from salver.models.manifestfile import ManifestFile, read_manifest
from salver.replicas.base import Failure


def manifest_file(folder: Path) -> ManifestFile:
    path = folder / "model.toml"
    path.write_text('name = "m"\n\n[[inputs]]\nname = "x"\nconvert = ["polish"]\n')
    return read_manifest(path)


def test_a_key_path_becomes_the_line_of_the_manifest(tmp_path):
    failure = Failure(code="MANIFEST_INVALID", message="there is no step polish", where=["inputs", 0, "convert", 0])
    told = explained(failure, manifest_file(tmp_path)).message
    assert told.startswith(f"{tmp_path / 'model.toml'}, line 5")
    assert told.endswith("there is no step polish")


def test_without_a_manifest_or_a_place_the_message_stays(tmp_path):
    failure = Failure(code="LOAD_FAILED", message="no", fix="Mend it.", where=["inputs"])
    assert explained(failure, None) == failure
    without_place = Failure(code="LOAD_FAILED", message="no", fix="Mend it.")
    assert explained(without_place, manifest_file(tmp_path)) == without_place


def test_a_worker_that_knows_no_fix_gets_the_general_one():
    assert explained(Failure(code="LOAD_FAILED", message="no"), None).fix == Code.LOAD_FAILED.fix
    assert explained(Failure(code="ENVIRONMENT_BROKEN", message="no"), None).fix == Code.ENVIRONMENT_BROKEN.fix
    assert explained(Failure(code="A_NEW_ONE", message="no"), None).fix == Code.LOAD_FAILED.fix
