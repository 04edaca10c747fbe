"""Conda environments as packages of the Python index."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from salver.errors import Code, LoadError
from salver.replicas.environments.conda import (
    CHANNEL_ONLY,
    NAMES,
    NOT_NEEDED,
    CondaEnvironment,
    parse_conda,
    specifier_of,
)

VERSIONS = st.builds(lambda parts: ".".join(map(str, parts)), st.lists(st.integers(0, 99), min_size=1, max_size=4))
BUILDS = st.from_regex(r"py3[0-9]_[0-9]", fullmatch=True)
NAMES_FREE = st.from_regex(r"[a-z][a-z0-9]{2,8}", fullmatch=True).filter(
    lambda name: name not in CHANNEL_ONLY | NOT_NEEDED | NAMES.keys() | {"python"}
)


def parsed(*dependencies: Any) -> CondaEnvironment:
    return parse_conda({"name": "x", "channels": ["defaults"], "dependencies": list(dependencies)}, "conda.yaml")


@pytest.mark.parametrize(
    ("conda", "ours"),
    [
        ("numpy", "numpy"),
        ("numpy=1.26", "numpy==1.26.*"),
        ("numpy=1.26.4", "numpy==1.26.4.*"),
        ("numpy = 1.26", "numpy==1.26.*"),
        ("numpy==1.26.4", "numpy==1.26.4"),
        ("numpy=1.26.*", "numpy==1.26.*"),
        ("numpy=1.26*", "numpy==1.26.*"),
        ("numpy=1.26.4=py310_0", "numpy==1.26.4"),
        ("numpy==1.26.4=py310_0", "numpy==1.26.4"),
        ("numpy 1.26.4", "numpy==1.26.4"),
        ("numpy 1.26.* py310_0", "numpy==1.26.*"),
        ("numpy>=1.20,<2", "numpy>=1.20,<2"),
        ("numpy >=1.20, <2", "numpy>=1.20,<2"),
        ("numpy>=1.20.*", "numpy>=1.20"),
        ("numpy!=1.25.*", "numpy!=1.25.*"),
        ("numpy~=1.26", "numpy~=1.26"),
        ("numpy *", "numpy"),
        ("numpy[version='>=1.20,<2']", "numpy>=1.20,<2"),
        ("numpy[build=py310_0]", "numpy"),
        ("conda-forge::numpy=1.26", "numpy==1.26.*"),
        ("conda-forge/linux-64::numpy", "numpy"),
        ("pytorch=2.1", "torch==2.1.*"),
        ("NumPy", "numpy"),
    ],
)
def test_each_way_to_write_a_version_means_what_conda_means(conda: str, ours: str) -> None:
    assert parsed(conda).requirements == (ours,)


@given(name=NAMES_FREE, version=VERSIONS, build=BUILDS)
def test_every_exact_or_fuzzy_version_is_a_requirement_that_takes_it(name: str, version: str, build: str) -> None:
    for text in (f"{name}={version}", f"{name}=={version}", f"{name} {version}", f"{name}={version}={build}"):
        (requirement,) = parsed(text).requirements
        assert Requirement(requirement).specifier.contains(version)
        assert Requirement(requirement).name == name
    assert Requirement(parsed(f"{name}={version}").requirements[0]).specifier.contains(f"{version}.7")
    assert not Requirement(parsed(f"{name}=={version}").requirements[0]).specifier.contains(f"{version}.7")


@given(text=st.text(max_size=30))
def test_no_text_is_more_than_refused(text: str) -> None:
    try:
        specifier = specifier_of(text, "here")
    except LoadError:
        return
    assert specifier == "" or specifier[0] in "<>=!~"


def test_python_and_what_pip_installs_are_told_apart() -> None:
    found = parsed("python=3.10", "pip", "setuptools", "numpy", {"pip": ["mlflow==2.9", "-r more.txt"]})
    assert found == CondaEnvironment(python="==3.10.*", requirements=("numpy",), pip=("mlflow==2.9", "-r more.txt"))


def test_what_only_channels_have_is_refused_by_name() -> None:
    with pytest.raises(LoadError, match=r"_libgcc_mutex, cudatoolkit, r-base, r-glmnet") as caught:
        parsed("numpy", "cudatoolkit=11.8", "r-glmnet", "r-base", "_libgcc_mutex=0.1=main")
    assert caught.value.code is Code.ENVIRONMENT_BROKEN


@pytest.mark.parametrize(
    ("document", "told"),
    [
        ([], "no list of dependencies"),
        ({"dependencies": "numpy"}, "no list of dependencies"),
        ({"dependencies": [3]}, "no text but a int"),
        ({"dependencies": [{"npm": []}]}, "no text but a dict"),
        ({"dependencies": [{"pip": [["x"]]}]}, "no text but a list"),
        ({"dependencies": ["???"]}, "is no package"),
        ({"dependencies": ["numpy=1.2|1.3"]}, "alternatives"),
        ({"dependencies": ["numpy>=x"]}, "is no range of versions"),
        ({"dependencies": ["numpy=@"]}, "is no version"),
    ],
)
def test_what_is_no_environment_is_refused_with_its_place(document: Any, told: str) -> None:
    with pytest.raises(LoadError, match=told):
        parse_conda(document, "conda.yaml")


def test_a_file_without_dependencies_asks_for_nothing() -> None:
    assert parse_conda({"name": "x"}, "conda.yaml") == CondaEnvironment()
