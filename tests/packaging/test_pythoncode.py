"""What Python files import, told without running them."""

from __future__ import annotations

from pathlib import Path

import pytest

from salver.packaging.installed import pinned
from salver.packaging.pythoncode import imported_names, imports_of, module_in, python_files


@pytest.fixture
def home(tmp_path: Path) -> Path:
    files = {
        "app.py": "import helper, numpy.linalg\nfrom lib.inner import x\nimport json\n",
        "helper.py": "import helper2\n\ndef f():\n    from scipy import stats\n",
        "helper2.py": "import helper\nfrom salver_worker import InputError\n",
        "lib/__init__.py": "from . import inner\n",
        "lib/inner.py": "import yaml\n",
        "lib/.old/x.py": "import never\n",
        "unused.py": "import torch\n",
        "data/readme.txt": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_modules_beside_are_followed_and_others_are_named(home: Path) -> None:
    found = imports_of([home / "app.py"], home)
    assert {path.name for path in found.beside} == {"helper.py", "helper2.py", "lib"}
    assert found.foreign == ("numpy", "scipy", "yaml")


@pytest.mark.parametrize(
    ("source", "names"),
    [
        ("import a.b as c", {"a"}),
        ("from a.b import c", {"a"}),
        ("from . import a\nfrom .b import c", set()),
        ("try:\n    import a\nexcept ImportError:\n    a = None", {"a"}),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\nelse:\n    import b", {"typing", "b"}),
        ("import typing\nif typing.TYPE_CHECKING:\n    import a", {"typing"}),
        ("if x():\n    import a", {"a"}),
        ("def f(:", set()),
    ],
)
def test_imports_are_read_wherever_they_stand(source: str, names: set[str]) -> None:
    assert imported_names(source.encode()) == names


def test_a_module_is_a_file_or_a_folder_with_python_files(home: Path) -> None:
    assert module_in(home, "lib") == home / "lib"
    assert module_in(home, "helper") == home / "helper.py"
    assert module_in(home, "data") is None
    assert python_files(home / "data" / "readme.txt") == []
    assert python_files(home / "lib") == [home / "lib" / "__init__.py", home / "lib" / "inner.py"]


def test_packages_are_pinned_as_they_are_installed_here() -> None:
    import numpy as np

    found = pinned(["numpy", "nosuchmodule"])
    assert found.requirements == (f"numpy=={np.__version__}",)
    assert found.unknown == ("nosuchmodule",)


def test_the_label_of_a_build_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda name: "2.13.0+cpu")
    assert pinned(["torch"], {"torch": ["torch"]}).requirements == ("torch==2.13.0",)
