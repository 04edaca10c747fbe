"""What becomes of a path: which files, which name, which lock; the model is not run here."""

from __future__ import annotations

import pickle
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from salver.errors import SalverError
from salver.packaging.base import Packaged, Wanted
from salver.packaging.making import plan_package
from salver.packaging.showing import show_package

Make = Callable[..., Packaged]
OWN = ".".join(map(str, sys.version_info[:2]))


def write(folder: Path, **files: str | bytes) -> Path:
    """Files by names with `_` for `.` and `__` for `/`."""
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def names(made: Packaged) -> set[str]:
    return set(made.files) - {"salver.json", "model.toml"}


def text(made: Packaged, name: str) -> str:
    with zipfile.ZipFile(made.path) as archive:
        return archive.read(name).decode()


def manifest(made: Packaged) -> dict[str, Any]:
    return tomllib.loads(text(made, "model.toml"))


def fault(make: Make, *arguments: object, **wanted: object) -> SalverError:
    with pytest.raises(SalverError) as caught:
        make(*arguments, **wanted)
    assert caught.value.fix
    return caught.value


def test_a_python_file_goes_with_what_it_imports(make: Make, tmp_path: Path) -> None:
    write(
        tmp_path / "m",
        app_py="import helper\n\n\ndef predict(x):\n    return x\n\n\ndef other(x):\n    return x\n",
        helper_py="import tinylib\n",
        unused_py="",
    )
    made = make(f"{tmp_path / 'm' / 'app.py'}:other", requirements=("tinylib<2",))
    assert names(made) == {"app.py", "helper.py", "requirements.lock"}
    assert manifest(made) == {
        "name": "app",
        "runtime": "function",
        "handler": "app.py:other",
        "environment": {"python": OWN, "lock": "requirements.lock"},
    }
    lock = text(made, "requirements.lock")
    assert "tinylib==1.0" in lock
    assert "--hash=sha256:" in lock
    assert made.packages == 2
    assert made.record.requirements == ("numpy", "tinylib<2")
    assert Path(made.path).name == f"app@{made.digest[:16]}.salver"


def test_the_same_model_has_the_same_address_and_bytes(make: Make, tmp_path: Path) -> None:
    for place in ("one", "two"):
        write(tmp_path / place, app_py="def predict(x):\n    return x\n")
    first, second = (make(tmp_path / place / "app.py", tmp_path / f"{place}.salver") for place in ("one", "two"))
    assert first.digest == second.digest
    assert (tmp_path / "one.salver").read_bytes() == (tmp_path / "two.salver").read_bytes()


def test_what_nobody_wrote_is_taken_from_the_artefact(make: Make, tmp_path: Path) -> None:
    sklearn = b"\x80\x04\x95" + b"csklearn.linear_model\n_sklearn_version\x94\x8c\x051.5.2\x94."
    write(tmp_path, model_pkl=sklearn)
    made = make(tmp_path / "model.pkl", name="digits", description="Ten of them.")
    assert manifest(made)["artifact"] == "model.pkl"
    assert manifest(made)["description"] == "Ten of them."
    assert "scikit-learn==1.5.2" in text(made, "requirements.lock")
    assert any("as the artefact tells" in note for note in made.notes)


def test_a_folder_is_packed_whole_and_says_what_its_model_toml_said(make: Make, tmp_path: Path) -> None:
    toml = """
        name = "spam"
        handler = "app.py:predict"
        [batching]
        max_batch_rows = 7
        [[inputs]]
        name = "x"
        convert = [{ scale = { factor = 2.0 } }, "softmax"]
        [environment]
        threads = 2
        requirements = ["tinylib"]
        variables = { A = "b" }
        [example]
        inputs = { x = [1.0] }
        expect = { y = [2.0] }
    """
    write(tmp_path / "m", app_py="def predict(x):\n    return x\n", model_toml=toml, lib__data_txt="d", __git="no")
    made = make(tmp_path / "m")
    assert names(made) == {"app.py", "lib/data.txt", "requirements.lock", "example.json"}
    said = manifest(made)
    assert said["batching"] == {"max_batch_rows": 7}
    assert said["inputs"] == [{"name": "x", "convert": [{"scale": {"factor": 2.0}}, "softmax"]}]
    wanted = {"threads": 2, "variables": {"A": "b"}, "python": OWN, "lock": "requirements.lock"}
    assert said["environment"] == wanted
    assert said["example"] == {"file": "example.json"}
    assert '"expect"' in text(made, "example.json")


def test_files_of_ours_give_way_to_the_model_s_own(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "m", app_py="def predict(x):\n    return x\n", example_json="[]", requirements_lock="mine")
    (tmp_path / "m" / "model.toml").write_text('handler = "app.py"\n[example]\ninputs = { x = [1] }\n')
    made = make(tmp_path / "m")
    assert text(made, "requirements.lock") == "mine"
    assert manifest(made)["environment"]["lock"] == "requirements-2.lock"
    assert manifest(made)["example"]["file"] == "example-2.json"


def test_of_numbered_versions_the_highest_is_packed_with_what_they_share(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "m", model_toml='name = "n"\n', labels_txt="a", requirements_txt="tinylib\n")
    for number in ("1", "2"):
        write(tmp_path / "m" / number, app_py=f"def predict(x):\n    return x * {number}\n")
    made = make(tmp_path / "m")
    assert names(made) == {"app.py", "labels.txt", "requirements.txt", "requirements.lock"}
    assert "x * 2" in text(made, "app.py")
    assert manifest(made)["name"] == "n"


def test_a_lock_is_taken_as_it_is(make: Make, tmp_path: Path) -> None:
    lock = "numpy==1.0 --hash=sha256:" + "0" * 64 + "\n"
    write(tmp_path, app_py="def predict(x):\n    return x\n", my_lock=lock)
    made = make(tmp_path / "app.py", lock=tmp_path / "my.lock")
    assert (made.packages, "numpy==1.0" in text(made, "requirements.lock")) == (1, True)
    write(tmp_path, my_lock="numpy==1.0\n")
    assert "lacks a hash" in fault(make, tmp_path / "app.py", lock=tmp_path / "my.lock").message


def test_without_a_lock_the_requirements_stay_as_they_are(make: Make, tmp_path: Path) -> None:
    write(
        tmp_path, app_py="def predict(x):\n    return x\n", req_txt="tinylib\n-c bounds.txt\n", bounds_txt="tinylib<2\n"
    )
    made = make(tmp_path / "app.py", is_locked=False, requirements=("tinylib", "six"))
    assert (made.packages, manifest(made)["environment"]["requirements"]) == (0, ["numpy", "six", "tinylib"])
    assert any("not locked" in note for note in made.notes)
    bound = make(tmp_path / "app.py", is_locked=False, requirements=(str(tmp_path / "req.txt"),), python=OWN)
    assert manifest(bound)["environment"] == {"python": OWN, "requirements": "requirements.txt"}
    assert text(bound, "constraints.txt") == "tinylib<2\n"


def test_a_package_that_is_packed_again_stays_the_same(make: Make, tmp_path: Path) -> None:
    write(tmp_path, app_py="def predict(x):\n    return x\n")
    first = make(tmp_path / "app.py", requirements=("tinylib",), example='{"x": [[1.0]]}')
    again = make(first.path, tmp_path / "again.salver")
    assert again.digest == first.digest
    assert show_package(Path(again.path)).files == first.files
    open = make(tmp_path / "app.py", requirements=("tinylib",), example='{"x": [[1.0]]}', is_locked=False)
    assert make(open.path).digest == first.digest


def test_files_and_folders_go_along_by_their_names(make: Make, tmp_path: Path) -> None:
    write(tmp_path, app_py="def predict(x):\n    return x\n")
    write(tmp_path / "else", lib__a_py="", words_txt="w")
    made = make(tmp_path / "app.py", code=(tmp_path / "else" / "lib", tmp_path / "else" / "words.txt"))
    assert {"lib/a.py", "words.txt"} <= names(made)


def test_a_module_that_nothing_here_has_is_told(make: Make, tmp_path: Path) -> None:
    write(tmp_path, app_py="import nosuchmodule\n\n\ndef predict(x):\n    return x\n")
    assert any("the module nosuchmodule" in note for note in make(tmp_path / "app.py").notes)


@pytest.mark.parametrize(
    ("wanted", "reason"),
    [
        ({"name": "a b"}, "is no name for a model"),
        ({"requirements": ("no such thing",)}, "is no requirement"),
        ({"requirements": ("nosuchpackage",)}, "nosuchpackage"),
        ({"example": "[1]"}, "The example names no input"),
        ({"python": "2.7"}, "2.7"),
    ],
)
def test_what_cannot_be_packed_is_told(make: Make, tmp_path: Path, wanted: dict[str, Any], reason: str) -> None:
    write(tmp_path, app_py="def predict(x):\n    return x\n")
    assert reason in fault(make, tmp_path / "app.py", **wanted).message
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interpreter_of_this_machine_does_not_go_along(make: Make, tmp_path: Path) -> None:
    toml = f'handler = "app.py"\n[environment]\npython = "{sys.executable}"\n'
    write(tmp_path / "m", app_py="def predict(x):\n    return x\n", model_toml=toml)
    assert "which only this machine has" in fault(make, tmp_path / "m").message
    assert manifest(make(tmp_path / "m", python=OWN))["environment"]["python"] == OWN


def test_one_model_is_packed_at_a_time(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "models", a_pkl=pickle.dumps([1]), b_pkl=pickle.dumps([2]))
    assert "holds several models: a, b" in fault(make, tmp_path / "models").message
    assert fault(make, "echo").message == "echo is built in."


def test_a_plan_says_what_would_be_packed_and_writes_nothing(tmp_path: Path) -> None:
    write(tmp_path, app_py="import helper\n\n\ndef predict(x):\n    return x\n", helper_py="")
    planned = plan_package(Wanted(path=str(tmp_path / "app.py")))
    assert (planned.name, planned.runtime, planned.files) == ("app", "function", ("app.py", "helper.py"))
    assert planned.requirements == ("numpy",)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["app.py", "helper.py"]


def test_showing_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(SalverError, match="is no package"):
        show_package(tmp_path / "x")
