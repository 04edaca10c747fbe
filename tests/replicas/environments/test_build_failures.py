"""Why a build failed, in words."""

from __future__ import annotations

import pytest

from salver.errors import Code
from salver.replicas.environments.failures import KEPT_LINES, build_failure, r_failure


@pytest.mark.parametrize(
    ("line", "reason", "fix"),
    [
        ("  cause: Hash mismatch for `six==1.16.0`", "not the one that the lock means", "salver env lock"),
        ("error: failed to write: No space left on device (os error 28)", "the disk is full", "salver env prune"),
        ("six==1.0 has no usable wheels", "no wheel for this interpreter", "wheels_dir"),
        ("error sending request for url (https://x/simple/six/)", "cannot be reached", "package_index"),
        ("HTTP status client error (401 Unauthorized)", "refuses this server", "credentials"),
        ("Because nosuch was not found in the package registry", "no package of this name", "Correct the name"),
        ("error: No solution found when resolving dependencies", "cannot be met together", "loosen"),
        ("thread panicked", "installing its packages failed", "salver load"),
    ],
)
def test_each_cause_has_its_reason_and_its_fix(line: str, reason: str, fix: str) -> None:
    failed = build_failure("installing its packages", ["", "Resolved 1 package", line])
    assert reason in failed.message
    assert fix in failed.fix
    assert failed.code is Code.ENVIRONMENT_BROKEN
    assert failed.lines == ("Resolved 1 package", line)


@pytest.mark.parametrize(
    ("line", "reason", "fix"),
    [
        ("hash mismatch for a_1.0.tar.gz", "a repository gave is not the one", "salver env lock"),
        ("write error: No space left on device", "the disk is full", "salver env prune"),
        ("missing a_1.0.tar.gz: URL 'https://x/': status was 'Could not resolve host'", "be reached", "r_repositories"),
        ("missing a_1.0.tar.gz: cannot open file", "in the version that is wanted", "make the lock again"),
        ("x.c:1:10: fatal error: gdal.h: No such file or directory", "cannot be compiled here", "header"),
        ("Error: unexpected symbol", "installing a 1.0 failed", "salver load"),
    ],
)
def test_so_has_each_cause_in_r(line: str, reason: str, fix: str) -> None:
    failed = r_failure("installing a 1.0", [line])
    assert reason in failed.message
    assert fix in failed.fix


def test_the_last_lines_are_kept_and_no_more() -> None:
    assert len(build_failure("making it", [str(number) for number in range(500)]).lines) == KEPT_LINES
