"""Functions and classes become files that stand alone."""

from __future__ import annotations

import importlib.util
import math as maths
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

from salver_client import SalverClientError
from salver_client.packaging.base import Draft
from salver_client.packaging.functions import add_function

SCALE = 3.0
TABLE = {"a": [1, 2], "b": (None, True)}
HELD = object()


class Verdict(NamedTuple):
    label: str
    score: float


def halved(value: float) -> float:
    return value / 2


def predict(x: Any) -> list[Verdict]:
    """Uses a value, a module by another name, a function, a class, and something of `typing`."""
    return [Verdict(str(TABLE["a"]), maths.floor(halved(SCALE)) * float(np.sum(x)))]


class Model:
    factor = SCALE

    def load(self) -> None:
        self.ready = halved(4.0)

    def predict(self, x: float) -> float:
        return x * self.factor * self.ready


def holds(x: float) -> bool:
    return HELD is None


def recursive(n: int) -> int:
    return 1 if n < 2 else n * recursive(n - 1)


def wants_nothing_known(x: float) -> float:
    return x * undefined_name  # type: ignore[name-defined, no-any-return]  # noqa: F821


@pytest.fixture
def draft(tmp_path: Path) -> Draft:
    folder = tmp_path / "package"
    folder.mkdir()
    return Draft(folder, "m")


@pytest.fixture
def served(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> Callable[[Any], Any]:
    """What the file of the package has under the handler's name, in a module that knows nothing else."""

    def run(target: Any) -> Any:
        monkeypatch.setattr(target, "__module__", "__main__")
        monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
        add_function(draft, target)
        assert draft.handler is not None
        file, _, name = draft.handler.partition(":")
        spec = importlib.util.spec_from_file_location("standing_alone", draft.folder / file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, "standing_alone", module)
        spec.loader.exec_module(module)
        return getattr(module, name)

    return run


def test_a_function_of_the_program_takes_along_what_it_uses(
    served: Callable[[Any], Any], draft: Draft, monkeypatch: pytest.MonkeyPatch
) -> None:
    for used in (Verdict, halved):
        monkeypatch.setattr(used, "__module__", "__main__")
    answer = served(predict)(np.array([1.0, 2.0]))
    assert answer == [("[1, 2]", 3.0)]
    assert draft.modules == {"numpy"}
    assert any("taken out of the running program" in note for note in draft.notes)


def test_a_class_of_the_program_too(served: Callable[[Any], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(halved, "__module__", "__main__")
    model = served(Model)()
    model.load()
    assert model.predict(2.0) == 12.0


def test_a_function_that_calls_itself(served: Callable[[Any], Any]) -> None:
    assert served(recursive)(5) == 120


def test_a_function_inside_another_takes_the_values_around_it(served: Callable[[Any], Any]) -> None:
    def around(factor: float) -> Callable[[float], float]:
        def scaled(x: float) -> float:
            return x * factor

        return scaled

    assert served(around(4.0))(2.0) == 8.0


def fault(draft: Draft, target: Any) -> str:
    with pytest.raises(SalverClientError) as caught:
        add_function(draft, target)
    assert caught.value.fix
    return caught.value.message


def test_what_cannot_stand_alone_is_told(draft: Draft, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fault(draft, lambda x: x) == "A lambda has no name to be served by."
    for each in (holds, wants_nothing_known):
        monkeypatch.setattr(each, "__module__", "__main__")
    monkeypatch.setitem(sys.modules, "__main__", sys.modules[__name__])
    assert "holds uses HELD, a object of this program" in fault(draft, holds)
    assert "uses the name undefined_name, which is not there" in fault(draft, wants_nothing_known)


def test_what_was_typed_nowhere_is_told(draft: Draft) -> None:
    space: dict[str, Any] = {"__name__": "__main__"}
    exec("def typed(x):\n    return x\n", space)
    assert "cannot be read" in fault(draft, space["typed"])


# Modules


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Imports a module of the user's own."""
    files = {
        "mine_alone.py": "import mine_helper\n\n\ndef predict(x):\n    return mine_helper.F * x\n",
        "mine_helper.py": "import numpy\n\nF = 2\n",
        "mine_package/__init__.py": "",
        "mine_package/inner.py": "from . import other\n\n\ndef predict(x):\n    return other.F * x\n",
        "mine_package/other.py": "import yaml\n\nF = 2\n",
    }
    for name, text in files.items():
        (tmp_path / "own" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "own" / name).write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path / "own"))

    def run(name: str) -> ModuleType:
        found = importlib.import_module(name)
        for known in [known for known in sys.modules if known.startswith("mine_")]:
            monkeypatch.setitem(sys.modules, known, sys.modules.pop(known))
        return found

    return run


def laid_out(draft: Draft) -> set[str]:
    return {str(path.relative_to(draft.folder)) for path in draft.folder.rglob("*") if path.is_file()}


def test_a_function_of_a_file_brings_the_file_and_what_it_imports(
    draft: Draft, module: Callable[[str], ModuleType]
) -> None:
    add_function(draft, module("mine_alone").predict)
    assert draft.handler == "mine_alone.py:predict"
    assert laid_out(draft) == {"mine_alone.py", "mine_helper.py"}
    assert draft.modules == {"numpy"}


def test_a_function_inside_a_package_of_yours_brings_the_package(
    draft: Draft, module: Callable[[str], ModuleType]
) -> None:
    add_function(draft, module("mine_package.inner").predict)
    assert draft.handler == "model.py:predict"
    assert {"model.py", "mine_package/__init__.py", "mine_package/inner.py", "mine_package/other.py"} == laid_out(draft)
    assert (draft.folder / "model.py").read_text() == "from mine_package.inner import predict\n"
    assert draft.modules == {"yaml"}


def test_a_function_of_an_installed_package_is_imported_from_it(draft: Draft) -> None:
    add_function(draft, np.linalg.LinAlgError)
    assert laid_out(draft) == {"model.py"}
    assert draft.modules == {"numpy"}
