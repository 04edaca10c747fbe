"""Listings are read back as they were written, and nothing else is taken for one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from salver.models.listing import ListedFile, Listing, ListingInvalid, is_digest, listing_of, parse_listing

DIGEST = "0123456789abcdef" * 4


def listed(name: str = "a", size: int = 1, *, is_executable: bool = False) -> ListedFile:
    return ListedFile(name=name, size=size, is_executable=is_executable, digest=DIGEST)


def test_the_text_is_as_documented() -> None:
    listing = listing_of([listed("b/run.sh", 12, is_executable=True), listed("a b")])
    assert listing.encode().decode() == f"salver listing 1\n{DIGEST} 1 - a b\n{DIGEST} 12 x b/run.sh\n"
    assert listing.size_bytes == 13
    assert is_digest(listing.digest)
    assert [file.mode for file in listing.files] == [0o444, 0o555]


def test_the_digest_of_a_known_listing_never_changes() -> None:
    assert listing_of([listed("model.onnx", 7)]).digest == (
        "24342ebeef1258a924beb11223eb7b5002bcf82aadf1ed86180de6fc927aee0e"
    )


@given(st.lists(st.builds(listed, st.from_regex(r"[a-z ]+(/[a-z]+){0,3}", fullmatch=True), st.integers(0, 2**60))))
def test_what_was_written_is_read(files: list[ListedFile]) -> None:
    listing = listing_of(files)
    assert parse_listing(listing.encode()) == listing


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\xff",
        b"salver listing 2\n",
        b"salver listing 1",
        b"salver listing 1\nnonsense\n",
        f"salver listing 1\n{DIGEST} 01 - a\n".encode(),
        f"salver listing 1\n{DIGEST} 1 - ../a\n".encode(),
        f"salver listing 1\n{DIGEST} 1 - a".encode(),
    ],
)
def test_anything_else_is_no_listing(raw: bytes) -> None:
    with pytest.raises(ListingInvalid):
        parse_listing(raw)


@pytest.mark.parametrize("text", ["", DIGEST[1:], DIGEST.upper(), f"{DIGEST}0", f"../{DIGEST[3:]}"])
def test_other_texts_are_no_digests(text: str) -> None:
    assert not is_digest(text)


def test_an_empty_listing_is_one() -> None:
    assert parse_listing(Listing(()).encode()) == Listing(())
