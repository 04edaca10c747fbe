"""What renv.lock and DESCRIPTION say, and what follows of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from salver.errors import LoadError, StartupError
from salver.replicas.environments.base import BuildFailed
from salver.replicas.environments.renv import (
    Description,
    RPackage,
    addresses,
    check_descriptions,
    check_repositories,
    check_sources,
    in_order,
    is_there,
    listed,
    parse_description,
    parse_renv,
    renv_request,
)

RLANG = {"Package": "rlang", "Version": "1.1.0", "Source": "Repository", "Hash": "aa", "Requirements": ["R"]}


def document(version: Any = "4.2.1", **packages: Any) -> str:
    return json.dumps({"R": {"Version": version, "Repositories": []}, "Packages": packages})


def described(name: str, *needs: str, built: str = "") -> Description:
    return Description(name=name, version="1.0", needs=needs, built=built)


def test_a_lock_is_its_packages_in_order_and_its_own_tool_does_not_count() -> None:
    text = document(rlang=RLANG, renv={"Version": "1.0"}, cli={"Version": "3.6", "Source": "GitHub"})
    renv = parse_renv(text, "renv.lock")
    assert renv.packages == (
        RPackage(name="cli", version="3.6", source="GitHub"),
        RPackage(name="rlang", version="1.1.0"),
    )
    assert [(pin.name, pin.version) for pin in renv.lock.pins] == [("cli", "3.6"), ("rlang", "1.1.0")]
    assert parse_renv(renv.text, "again") == renv


def test_hashes_of_files_are_kept_and_make_another_lock() -> None:
    plain, hashed = document(rlang=RLANG), document(rlang={**RLANG, "Sha256": "a" * 64})
    assert parse_renv(hashed, "x").packages[0].sha256 == "a" * 64
    assert parse_renv(parse_renv(hashed, "x").text, "x") == parse_renv(hashed, "x")
    assert renv_request(plain, "x").digest != renv_request(hashed, "x").digest


def test_a_request_says_for_people_what_it_is_about() -> None:
    request = renv_request(document(rlang=RLANG), "renv.lock")
    assert (request.kind, request.python) == ("r", "4.2.1")
    assert request.label == "rlang==1.1.0 (renv.lock), R 4.2.1"
    other = {**RLANG, "Hash": "bb"}
    assert renv_request(document(rlang=other), "renv.lock").digest == request.digest


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"R": {"Version": "4.2"}, "Packages": [1]}', document(a={})])
def test_what_is_no_lock_is_refused(text: str) -> None:
    with pytest.raises(LoadError, match="is no lock of renv"):
        parse_renv(text, "renv.lock")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (document("four"), "names no version of R but 'four'"),
        (document(**{"../x": {"Version": "1"}}), "no package of R in an exact version"),
        (document(a1={"Version": ">= 1"}), "'a1 >= 1', which is no package of R in an exact version"),
        (document(a1={"Version": "1", "Sha256": "xyz"}), "has a Sha256 for a1 that is none"),
    ],
)
def test_names_that_are_none_are_refused(text: str, reason: str) -> None:
    with pytest.raises(LoadError, match=reason):
        parse_renv(text, "renv.lock")


def test_a_package_is_there_in_the_version_that_is_wanted() -> None:
    package = RPackage(name="mass", version="7.3-58")
    assert is_there(package, {"mass": "7.3.58"})
    assert not is_there(package, {"mass": "7.3-59"})
    assert not is_there(package, {})


def test_old_versions_lie_in_the_archive() -> None:
    assert addresses(RPackage(name="a1", version="1.0-2"), ("https://x/cran/", "file:///r")) == (
        "https://x/cran/src/contrib/a1_1.0-2.tar.gz",
        "https://x/cran/src/contrib/Archive/a1/a1_1.0-2.tar.gz",
        "file:///r/src/contrib/a1_1.0-2.tar.gz",
        "file:///r/src/contrib/Archive/a1/a1_1.0-2.tar.gz",
    )


def test_a_description_says_what_a_package_needs_and_whether_it_is_built() -> None:
    text = (
        "Package: a1\nVersion: 1.0\nDepends: R (>= 3.5),\n  methods\n"
        "Imports: cli (>= 1), rlang\nno field\nLinkingTo: rlang\n"
    )
    assert parse_description(text) == Description(name="a1", version="1.0", needs=("methods", "cli", "rlang"), built="")
    assert parse_description("Built: R 4.2.2; ; 2023-01-01; unix\n").built == "4.2.2"


@pytest.mark.parametrize("address", ["http://cran.example.org", "/srv/cran", "file://cran", "ftp://x/"])
def test_a_repository_is_one_that_nobody_can_exchange_on_the_way(address: str) -> None:
    check_repositories(["https://cran.example.org", "file:///srv/cran"])
    with pytest.raises(StartupError, match="no address of a repository"):
        check_repositories([address])


def test_only_what_comes_from_repositories_can_be_installed() -> None:
    check_sources([RPackage(name="a1", version="1")])
    with pytest.raises(BuildFailed, match=r"a1 1 \(GitHub\)"):
        check_sources([RPackage(name="a1", version="1", source="GitHub")])


def test_source_is_installed_where_that_is_allowed_and_what_is_built_for_its_r() -> None:
    check_descriptions([described("a1")], [], r_version="4.2.2", may_build=True)
    check_descriptions([described("a1", built="4.2.1")], [], r_version="4.2.2", may_build=False)
    with pytest.raises(BuildFailed, match=r"come as source, and building is not allowed: a1 1\.0\."):
        check_descriptions([described("a1")], [], r_version="4.2.2", may_build=False)
    with pytest.raises(BuildFailed, match=r"a1 1\.0 was built for R 4\.1\.0, and this is R 4\.2\.2"):
        check_descriptions([described("a1", built="4.1.0")], [], r_version="4.2.2", may_build=True)


def test_what_others_need_has_to_be_there() -> None:
    check_descriptions([described("a1", "b1", "c1"), described("b1")], ["c1"], r_version="4.2.2", may_build=True)
    with pytest.raises(BuildFailed, match=r"lacks packages that others need: b1 \(of a1\)"):
        check_descriptions([described("a1", "b1")], [], r_version="4.2.2", may_build=True)


def test_each_is_installed_after_those_that_it_needs() -> None:
    rows = [described("top", "mid", "low"), described("mid", "low", "utils"), described("low", "low")]
    assert [each.name for each in in_order(rows)] == ["low", "mid", "top"]
    assert {each.name for each in in_order([described("a1", "b1"), described("b1", "a1")])} == {"a1", "b1"}
    assert in_order([]) == ()


def test_long_lists_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(10)]) == "0, 1, 2, 3, 4, 5, 6, 7 and 2 more"
