"""Shared memory is dealt out without overlap, and all of it comes back."""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from salver.replicas.slab import PAGE, Slab
from salver.types import SlabSlice

PAGES = 12


class SlabMachine(RuleBasedStateMachine):
    """Slices taken and released in any order; each is filled with its own byte and must still hold it at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.slab = Slab(PAGES * PAGE)
        self.held: dict[SlabSlice, int] = {}
        self.count = 0

    pieces = Bundle("pieces")

    @rule(target=pieces, size=st.integers(1, 4 * PAGE) | st.sampled_from([1, PAGE - 1, PAGE, PAGE + 1, PAGES * PAGE]))
    def take(self, size: int) -> SlabSlice | None:
        piece = self.slab.take(size)
        if piece is None:
            assert self.longest_run() < -(-size // PAGE)
            return None
        assert len(piece) == piece.view.nbytes == size
        self.count += 1
        self.held[piece] = self.count % 256
        piece.view[:1] = piece.view[-1:] = bytes([self.held[piece]])
        return piece

    @rule(piece=consumes(pieces))
    def release(self, piece: SlabSlice | None) -> None:
        if piece is None:
            return
        mark = self.held.pop(piece)
        assert piece.view[0] == piece.view[-1] == mark
        piece.release()
        piece.release()

    def longest_run(self) -> int:
        taken = set()
        for piece in self.held:
            first = piece.offset // PAGE
            taken.update(range(first, first - (-piece.view.nbytes // PAGE)))
        longest = run = 0
        for page in range(PAGES):
            run = 0 if page in taken else run + 1
            longest = max(longest, run)
        return longest

    @invariant()
    def nothing_overlaps(self) -> None:
        ends = sorted((piece.offset, piece.offset + -(-len(piece) // PAGE) * PAGE) for piece in self.held)
        assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
        assert all(start >= 0 and end <= PAGES * PAGE for start, end in ends)
        assert self.slab.free_bytes == PAGES * PAGE - sum(end - start for start, end in ends)

    @invariant()
    def free_runs_never_touch(self) -> None:
        runs = self.slab._free
        assert all(one[0] + one[1] < other[0] for one, other in itertools.pairwise(runs))

    def teardown(self) -> None:
        for piece in list(self.held):
            piece.release()
        assert self.slab._free == [(0, PAGES)]
        self.slab.close()


TestSlabMachine = SlabMachine.TestCase
TestSlabMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.fixture
def slab():
    slab = Slab(4 * PAGE)
    yield slab
    slab.close()


def test_the_lowest_place_that_fits_is_taken_so_that_pages_are_used_again(slab) -> None:
    first, second = slab.take(1), slab.take(1)
    assert (first.offset, second.offset) == (0, PAGE)
    first.release()
    assert slab.take(2 * PAGE).offset == 2 * PAGE
    assert slab.take(1).offset == 0


def test_more_than_there_is_is_not_given(slab) -> None:
    assert slab.take(4 * PAGE + 1) is None
    assert slab.take(4 * PAGE) is not None
    assert slab.take(1) is None


def test_a_slab_has_a_page_at_least() -> None:
    slab = Slab(0)
    assert slab.size_bytes == slab.free_bytes == PAGE
    slab.close()


def test_nothing_at_all_still_has_a_place_of_its_own(slab) -> None:
    nothing, something = slab.take(0), slab.take(1)
    assert nothing.offset != something.offset
    nothing.release()
    something.release()
    assert slab._free == [(0, 4)]


def test_who_maps_the_descriptor_sees_the_bytes(slab) -> None:
    piece = slab.take(5)
    piece.view[:] = b"hello"
    with mmap.mmap(slab.fd, slab.size_bytes, prot=mmap.PROT_READ) as other:
        assert other[piece.offset : piece.offset + 5] == b"hello"
    assert os.pread(slab.fd, 5, piece.offset) == b"hello"


@pytest.mark.parametrize("size", [0, PAGE, 8 * PAGE])
def test_nobody_can_change_its_size(slab, size) -> None:
    """A worker has the descriptor; memory cut off under the server's feet would end the server."""
    with pytest.raises(PermissionError):
        os.ftruncate(slab.fd, size)
    with pytest.raises(PermissionError):
        fcntl.fcntl(slab.fd, fcntl.F_ADD_SEALS, 0)


def test_a_slab_made_by_another_process_is_taken_over(slab) -> None:
    inherited = Slab(4 * PAGE, inherited_fd=os.dup(slab.fd))
    piece = inherited.take(3)
    piece.view[:] = b"abc"
    assert os.pread(slab.fd, 3, piece.offset) == b"abc"
    piece.release()
    inherited.close()


def test_a_slice_that_something_still_looks_at_is_given_back_all_the_same(slab) -> None:
    """A finished write may hold the buffer a moment longer; that once cost a whole batch its answers."""
    piece = slab.take(10)
    with memoryview(piece.view):
        import numpy as np

        array = np.frombuffer(piece.view, "u1")
        piece.release()
        assert slab.free_bytes == slab.size_bytes
        del array


def test_closing_with_slices_out_is_no_error() -> None:
    slab = Slab(PAGE)
    piece = slab.take(10)
    slab.close()
    assert bytes(piece.view[:2]) == b"\0\0"
    piece.view.release()
