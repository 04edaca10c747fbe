"""What requirements files ask for."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError
from salver.replicas.environments.requirements import (
    Installed,
    Wishes,
    constraints_for,
    first_unmet,
    is_in_range,
    parse_lines,
    parse_requirements,
    with_base,
)


def parsed(text: str, **files: str) -> Wishes:
    return parse_requirements(text, "requirements.txt", lambda name: files[name.removesuffix(".txt")])


def test_requirements_come_in_one_form_whatever_theirs() -> None:
    found = parsed("Scikit_Learn == 1.5.2  # pinned\n\nnumpy>=1.26,<3\n# nothing\nfoo[bar] ; python_version < '3.9'\n")
    assert found.requirements == ('foo[bar]; python_version < "3.9"', "numpy<3,>=1.26", "scikit-learn==1.5.2")
    assert not found.is_lock


def test_a_line_goes_on_after_a_backslash() -> None:
    assert parsed("numpy \\\n  >=1.26\nsix \\").requirements == ("numpy>=1.26", "six")


def test_other_files_are_read_where_a_line_refers_to_them() -> None:
    found = parsed("-r more.txt\n--constraint bounds.txt\n-cbounds.txt\nsix", more="numpy", bounds="numpy<2")
    assert found.requirements == ("numpy", "six")
    assert found.constraints == ("numpy<2",)


def test_requirements_of_a_file_of_constraints_are_constraints() -> None:
    assert parsed("-c a.txt", a="-r b.txt", b="numpy<2") == Wishes(constraints=("numpy<2",))


def test_files_that_refer_to_each_other_are_refused() -> None:
    with pytest.raises(LoadError, match="refer to each other"):
        parsed("-r a.txt", a="-r a.txt")


def test_indexes_of_a_file_are_not_used_and_that_is_said() -> None:
    found = parsed("--index-url https://user:secret@host/simple\n--extra-index-url=https://x\n--pre\nsix")
    assert found.requirements == ("six",)
    assert [note.partition(";")[0] for note in found.notes] == [
        "requirements.txt, line 1: --index-url is not used",
        "requirements.txt, line 2: --extra-index-url is not used",
        "requirements.txt, line 3: --pre is not used",
    ]
    assert "secret" not in str(found.notes)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("-e .", "editable"),
        ("./wheels/six.whl", "an address or a path"),
        ("/srv/six.whl", "an address or a path"),
        ("file:six.whl", "an address or a path"),
        ("https://host/six.whl", "an address or a path"),
        ("git+https://host/six.git", "an address or a path"),
        ("six @ https://host/six.whl", "from an address"),
        ("six = 1.0", "is no requirement"),
        ("--'\n", "is not used"),
    ],
)
def test_what_no_index_has_is_refused_with_its_line(line: str, told: str) -> None:
    if told == "is not used":  # what a shell could not read is an option like others
        assert told in parsed(line).notes[0]
        return
    with pytest.raises(LoadError, match=told) as caught:
        parsed(f"numpy\n{line}\n")
    assert caught.value.code is Code.ENVIRONMENT_BROKEN
    assert "requirements.txt, line 2" in caught.value.message


def test_lines_by_themselves_cannot_refer_to_files() -> None:
    with pytest.raises(LoadError, match=r"refers to the file secrets\.txt"):
        parse_lines(["-r secrets.txt"], "model.toml")


def test_a_file_in_which_all_is_exact_and_has_hashes_is_a_lock() -> None:
    text = "six==1.16.0 \\\n    --hash=sha256:b \\\n    --hash=sha256:a\n"
    found = parsed(text)
    assert found.is_lock
    assert found.hashes == {"six==1.16.0": ("sha256:a", "sha256:b")}
    assert not parsed(text + "numpy==1.26.4\n").is_lock
    assert not parsed(text + "numpy==1.26.* --hash=sha256:c\n").is_lock
    assert not parsed("").is_lock


def test_what_the_runtime_needs_is_added_unless_it_is_named() -> None:
    assert with_base(["NumPy<2", "six"], ["numpy", "scikit-learn"]) == ("NumPy<2", "scikit-learn", "six")


def test_a_package_that_brings_the_same_modules_stands_for_another() -> None:
    assert with_base(["xgboost==2.0.3"], ["xgboost-cpu"]) == ("xgboost==2.0.3",)
    assert with_base(["xgboost-cpu==3.0.5"], ["xgboost-cpu"]) == ("xgboost-cpu==3.0.5",)
    assert with_base(["mlflow"], ["mlflow-skinny", "pandas"]) == ("mlflow", "pandas")
    assert with_base(["pandas"], ["mlflow-skinny"]) == ("mlflow-skinny", "pandas")


def test_mxnet_needs_a_numpy_that_still_has_its_types() -> None:
    assert constraints_for(["mxnet==1.9.1", "six"]) == ("numpy<1.24",)
    assert constraints_for(["six"]) == ()


PACKAGES = {
    "numpy": Installed(version="2.1.0"),
    "pre": Installed(version="1.0rc1"),
    "foo": Installed(version="1.0", requires=("bar>=2; extra == 'all'", "numpy>=1", "baz; extra == 'other'")),
    "bar": Installed(version="1.0"),
}


@pytest.mark.parametrize(
    ("requirements", "unmet"),
    [
        (["numpy>=2", "pre>=0.9"], None),
        (["numpy<2"], "numpy<2"),
        (["nothing"], "nothing"),
        (["nothing; python_version < '3'"], None),
        (["foo"], None),
        (["foo[all]"], "foo[all]"),
        (["foo[other]"], "foo[other]"),
        (["foo[unknown]"], None),
    ],
)
def test_what_is_installed_meets_requirements_with_their_extras(requirements: list[str], unmet: str | None) -> None:
    assert first_unmet(requirements, PACKAGES.get, {}) == unmet


def test_versions_are_compared_as_versions() -> None:
    assert is_in_range("3.11.7", ">=3.9,<3.12")
    assert not is_in_range("3.12.1", "<3.12")


def test_what_brings_the_same_modules_is_not_added_beside_it() -> None:
    assert with_base(["tensorflow==2.15.0"], ["numpy", "tensorflow-cpu"]) == ("numpy", "tensorflow==2.15.0")
    assert with_base([], ["tensorflow-cpu"]) == ("tensorflow-cpu",)
