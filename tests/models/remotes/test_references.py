"""Remotes and references are read as people write them, and every mistake is told."""

from __future__ import annotations

import pytest

from salver.errors import Code, LoadError, StartupError
from salver.models.remotes.references import Reference, Remote, parse_reference, parse_remotes, without_secrets

DIGEST = "0123456789abcdef" * 4
ZOO = Remote(name="zoo", url="https://models.example.com/zoo")
LAKE = Remote(name="lake", url="s3://bucket/prefix")


def refused_remote(*texts: str) -> str:
    with pytest.raises(StartupError) as caught:
        parse_remotes(texts)
    assert caught.value.code is Code.SETTINGS_INVALID
    assert caught.value.fix
    return caught.value.message


def meant(text: str, *, allow_urls: bool = False) -> Reference:
    return parse_reference(text, {"zoo": ZOO, "lake": LAKE}, allow_urls=allow_urls)


def refused(text: str, *, allow_urls: bool = False) -> str:
    with pytest.raises(LoadError) as caught:
        meant(text, allow_urls=allow_urls)
    assert caught.value.code is Code.INVALID_INPUT
    assert caught.value.fix
    return caught.value.message


def test_remotes_have_names_addresses_and_options() -> None:
    assert parse_remotes(
        [
            "zoo=https://models.example.com/zoo/ token_variable=ZOO",
            "lake=s3://bucket/prefix endpoint=http://h:9 region=eu",
        ]
    ) == {
        "zoo": Remote(name="zoo", url="https://models.example.com/zoo", options={"token_variable": "ZOO"}),
        "lake": Remote(name="lake", url="s3://bucket/prefix", options={"endpoint": "http://h:9", "region": "eu"}),
    }
    assert ZOO.scheme == "https"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("https://host/x", "'https://host/x' names no remote"),
        ("=https://host", "'' names no remote"),
        ("zoo", "'' is no https, http or s3 address"),
        ("zoo=", "'' is no https, http or s3 address"),
        ("zoo=ftp://host/x", "'ftp://host/x' is no https, http or s3 address"),
        ("zoo=https:///x", "'https:///x' is no https, http or s3 address"),
        ("zoo=https://[", "'https://[' is no https, http or s3 address"),
        ("zoo=https://host:0/x", "'https://host:0/x' is no https, http or s3 address"),
        ("zoo=https://host/x?a=b", "its address has a ? or #"),
        ("zoo=https://host/x#a", "its address has a ? or #"),
        ("zoo=https://host region=eu", "'region=eu' is no option of it"),
        ("zoo=s3://bucket region", "'region' is no option of it"),
        ("zoo=s3://bucket region=", "'region=' is no option of it"),
    ],
)
def test_mistakes_in_remotes_are_told(text: str, problem: str) -> None:
    assert refused_remote(text) == f"The remote `{text.replace('?a=b', '?...')}` cannot be used: {problem}."


def test_passwords_in_addresses_are_refused_and_not_shown() -> None:
    assert refused_remote("zoo=https://me:secret@host/x") == (
        "The remote `zoo=https://...@host/x` cannot be used: it holds a password."
    )


def test_a_name_belongs_to_one_remote() -> None:
    assert "there are two remotes called zoo" in refused_remote("zoo=https://a", "zoo=https://b")


def test_an_artefact_of_a_remote() -> None:
    text = f"zoo:vision/resnet 50.onnx@sha256:{DIGEST.upper()}"
    assert meant(text) == Reference(
        text=text,
        url="https://models.example.com/zoo/vision/resnet%2050.onnx",
        digest=DIGEST,
        file_name="resnet 50.onnx",
        remote=ZOO,
    )


def test_an_address_of_its_own_where_that_is_allowed() -> None:
    text = f"https://example.com/a/resnet%2050.onnx?x=1@sha256:{DIGEST}"
    assert refused(text).startswith("https://example.com/a/resnet%2050.onnx?... belongs to no remote")
    assert meant(text, allow_urls=True) == Reference(
        text=text, url="https://example.com/a/resnet%2050.onnx?x=1", digest=DIGEST, file_name="resnet 50.onnx"
    )


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("zoo:a.onnx", "'zoo:a.onnx' does not end in the digest of the file."),
        (
            f"zoo:a.onnx@sha256:{DIGEST[1:]}",
            f"'zoo:a.onnx@sha256:{DIGEST[1:]}' does not end in the digest of the file.",
        ),
        (f"zo:a.onnx@sha256:{DIGEST}", "There is no remote called 'zo'."),
        (f"nothing@sha256:{DIGEST}", "There is no remote called 'nothing'."),
        (f"zoo:@sha256:{DIGEST}", "'' is no path below a remote."),
        (f"zoo:../a@sha256:{DIGEST}", "'../a' is no path below a remote."),
        (f"zoo:/a@sha256:{DIGEST}", "'/a' is no path below a remote."),
        (f"lake:a/1@sha256:{DIGEST}", "lake is an S3 remote; its versions are seen by themselves."),
    ],
)
def test_mistakes_in_references_are_told(text: str, problem: str) -> None:
    assert refused(text) == problem


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://host/a", "is no plain https address."),
        ("file:///etc/passwd", "is no plain https address."),
        ("https://me@host/a", "is no plain https address."),
        ("https://host/a#b", "is no plain https address."),
        ("https://host/a/", "ends in no file's name."),
        ("https://host/%2e%2e", "ends in no file's name."),
    ],
)
def test_other_addresses_are_refused_even_where_addresses_are_allowed(url: str, problem: str) -> None:
    shown = url.replace("//me@", "//...@")
    assert refused(f"{url}@sha256:{DIGEST}", allow_urls=True) == f"{shown} {problem}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://host/a.onnx", "https://host/a.onnx"),
        ("https://me:pass@host/a.onnx", "https://...@host/a.onnx"),
        ("https://me:pa/ss@host/a", "https://...@host/a"),
        (f"https://me:p@ss@host/a?sig=s3@sha256:{DIGEST}", f"https://...@host/a?...@sha256:{DIGEST}"),
        (f"https://host/a@sha256:{DIGEST}", f"https://host/a@sha256:{DIGEST}"),
        ("https://host/a?sig=secret", "https://host/a?..."),
        ("adder.py", "adder.py"),
    ],
)
def test_secrets_in_addresses_are_not_shown(text: str, shown: str) -> None:
    assert without_secrets(text) == shown
