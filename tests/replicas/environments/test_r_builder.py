"""Libraries of R are built of a renv.lock: resolved once, whole, shared, and only where that is allowed."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from environment_bench import Bench, play
from r_repository import RRepository, needs_r, r_version, renv_lock, tiny_repository
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest, Prepared
from salver.replicas.environments.programs import has_landlock
from salver.replicas.environments.renv import parse_renv, renv_request

pytestmark = [needs_r, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="session")
def shared_repository(tmp_path_factory: pytest.TempPathFactory) -> RRepository:
    return tiny_repository(tmp_path_factory.mktemp("cran"))


@pytest.fixture
def repository(shared_repository: RRepository) -> RRepository:
    return shared_repository


needs_landlock = pytest.mark.skipif(not has_landlock(), reason="NO LANDLOCK in this kernel: installers have no cage")


def bench_of(tmp_path: Path, repository: RRepository, **settings: Any) -> Bench:
    words = {"r_repositories": (repository.url,), "allow_source_packages": True, **settings}
    return Bench(tmp_path, **words)


def wants(source: str = "Repository", **packages: str) -> EnvironmentRequest:
    return renv_request(renv_lock(source=source, **packages), "renv.lock")


def said(prepared: Prepared, name: str = "tinybase") -> str:
    """What the package says in the R that a worker would start."""
    program = prepared.variables["SALVER_RSCRIPT"]
    code = f"cat({name}::said())"
    variables = {**os.environ, **prepared.variables}
    return subprocess.run(
        [program, "--vanilla", "-e", code], env=variables, capture_output=True, text=True, check=True
    ).stdout


def refusal(bench: Bench, request: EnvironmentRequest) -> BuildFailed:
    caught: list[BuildFailed] = []

    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed) as info:
            await bench.builder.prepare(request, bench.said.append)
        caught.append(info.value)
        assert await bench.builder.all() == ()

    play(bench, story)
    return caught[0]


def test_packages_are_installed_in_order_and_in_the_versions_of_the_lock(
    tmp_path: Path, repository: RRepository
) -> None:
    async def story(bench: Bench) -> None:
        old = await bench.builder.prepare(wants(tinytop="0.1", tinybase="1.0"), bench.said.append)
        new = await bench.builder.prepare(wants(tinybase="2.0"), bench.said.append)
        assert (said(old), said(old, "tinytop"), said(new)) == ("1.0", "top of 1.0", "2.0")
        assert old.environment is not None
        assert (old.environment.kind, old.environment.python) == ("r", r_version())
        assert [pin.name for pin in old.environment.packages] == ["tinybase", "tinytop"]
        assert old.label.startswith(f"R {r_version()}, 2 packages, environment ")
        built = bench.said[:-1]
        assert built.index("installing tinybase 1.0, 1 of 2") < built.index("installing tinytop 0.1, 2 of 2")
        assert old.python == ""
        assert {each.id for each in await bench.builder.all()} == set(
            (await bench.builder.ids([wants(tinytop="0.1", tinybase="1.0"), wants(tinybase="2.0")])).values()
        )

    play(bench_of(tmp_path, repository), story)


def test_versions_with_the_same_lock_share_one_library_and_it_stays_as_it_is(
    tmp_path: Path, repository: RRepository
) -> None:
    async def story(bench: Bench) -> None:
        request = wants(tinybase="2.0")
        one, two = await asyncio.gather(*(bench.builder.prepare(request, bench.said.append) for _ in range(2)))
        assert one == two
        assert len(await bench.builder.all()) == 1
        assert not any(path.stat().st_mode & 0o222 for path in _files(Path(one.variables["R_LIBS"])))

    play(bench_of(tmp_path, repository), story)


def test_the_lock_that_is_kept_has_the_hash_of_each_file_and_another_file_is_refused(
    tmp_path: Path,
) -> None:
    own = tiny_repository(tmp_path / "cran")
    bench = bench_of(tmp_path, own)
    request = wants(tinybase="2.0")

    async def lock(bench: Bench) -> None:
        kept = await bench.builder.lock(request, bench.said.append)
        (package,) = parse_renv(kept.text, "it").packages
        assert len(package.sha256) == 64
        assert await bench.builder.is_approved(request)

    play(bench, lock)
    own.add("tinybase", "2.0", 'said <- function() "changed"\n')
    shutil.rmtree(bench.shelf.sources)
    failed = refusal(bench_of(tmp_path, own, store=bench.store), request)
    assert "not the one that the lock means" in failed.message
    assert "salver env lock" in (failed.fix or "")


def test_a_lock_with_hashes_is_taken_as_it_is(tmp_path: Path, repository: RRepository) -> None:
    document = json.loads(renv_lock(tinybase="2.0"))
    document["Packages"]["tinybase"]["Sha256"] = "0" * 64
    failed = refusal(bench_of(tmp_path, repository), renv_request(json.dumps(document), "renv.lock"))
    assert "not the one that the lock means" in failed.message


def test_what_is_not_there_is_told(tmp_path: Path, repository: RRepository) -> None:
    failed = refusal(bench_of(tmp_path, repository), wants(tinybase="3.0"))
    assert "no repository has a package in the version that is wanted" in failed.message
    assert any("tinybase_3.0.tar.gz" in line for line in failed.lines)
    failed = refusal(bench_of(tmp_path, repository), wants(tinytop="0.1"))
    assert "renv.lock lacks packages that others need: tinybase (of tinytop)." in failed.message
    failed = refusal(bench_of(tmp_path, repository), wants("GitHub", tinybase="2.0"))
    assert "tinybase 2.0 (GitHub)" in failed.message
    failed = refusal(bench_of(tmp_path, repository, r_repositories=()), wants(tinybase="2.0"))
    assert failed.message == "renv.lock wants tinybase 2.0, which R lacks, and no repository is set."
    failed = refusal(bench_of(tmp_path, repository, build_environments=False), wants(tinybase="2.0"))
    assert "building is turned off" in failed.message
    failed = refusal(
        bench_of(tmp_path, repository, offline=True, r_repositories=("https://cran.example.org",)),
        wants(tinybase="2.0"),
    )
    assert "no repository has a package" in failed.message


def test_source_is_not_built_where_that_is_not_allowed(tmp_path: Path, repository: RRepository) -> None:
    failed = refusal(bench_of(tmp_path, repository, allow_source_packages=False), wants(tinybase="2.0"))
    assert "Packages of R come as source, and building is not allowed: tinybase 2.0." in failed.message
    assert "allow_source_packages" in (failed.fix or "")


def test_a_package_that_cannot_be_installed_says_why(tmp_path: Path) -> None:
    own = RRepository(tmp_path / "cran")
    own.add("broken", "1.0", "said <- function( {\n")
    failed = refusal(bench_of(tmp_path, own), wants(broken="1.0"))
    assert "installing broken 1.0 failed" in failed.message
    assert any("unexpected" in line for line in failed.lines)


def test_a_file_that_is_another_package_is_refused(tmp_path: Path) -> None:
    own = tiny_repository(tmp_path / "cran")
    shutil.copy(own.packages / "tinybase_2.0.tar.gz", own.packages / "other_2.0.tar.gz")
    (own.packages / "torn_1.0.tar.gz").write_bytes(b"no archive")
    failed = refusal(bench_of(tmp_path, own), wants(other="2.0"))
    assert failed.message == "other_2.0.tar.gz, as a repository has it, is not the package other 2.0."
    failed = refusal(bench_of(tmp_path, own), wants(torn="1.0"))
    assert "is not the package torn 1.0" in failed.message


def test_what_r_has_is_used_and_needs_nobodys_word(tmp_path: Path, repository: RRepository) -> None:
    base = r_version()

    async def story(bench: Bench) -> None:
        request = wants(stats=base, utils=base)
        prepared = await bench.builder.prepare(request, bench.said.append)
        assert prepared.environment is None
        assert "R_LIBS" not in prepared.variables
        assert prepared.label == f"R {base} with the packages that it has"
        assert await bench.builder.is_approved(request)
        assert not await bench.builder.is_approved(wants(tinybase="2.0"))
        both = await bench.builder.prepare(wants(stats=base, tinybase="2.0"), bench.said.append)
        assert both.environment is not None
        assert [pin.name for pin in both.environment.packages] == ["tinybase"]

    play(bench_of(tmp_path, repository), story)


def test_what_a_library_lost_is_installed_the_next_time(tmp_path: Path, repository: RRepository) -> None:
    library = tmp_path / "own"
    library.mkdir()
    tarball = repository.packages / "tinybase_2.0.tar.gz"
    subprocess.run(["R", "CMD", "INSTALL", f"--library={library}", str(tarball)], check=True, capture_output=True)
    bench = bench_of(tmp_path, repository, r_libraries=(str(library),))
    request = wants(tinytop="0.1", tinybase="2.0")

    async def story(bench: Bench) -> None:
        first = await bench.builder.prepare(request, bench.said.append)
        assert said(first, "tinytop") == "top of 2.0"
        assert first.environment is not None
        assert [pin.name for pin in first.environment.packages] == ["tinytop"]
        shutil.rmtree(library / "tinybase")
        then = await bench.builder.prepare(request, bench.said.append)
        assert then.environment is not None
        assert [pin.name for pin in then.environment.packages] == ["tinybase", "tinytop"]
        assert said(then, "tinytop") == "top of 2.0"

    play(bench, story)


def test_a_build_that_is_given_up_leaves_nothing(tmp_path: Path) -> None:
    own = RRepository(tmp_path / "cran")
    mark = tmp_path / "begun"
    _write_slow(own, mark)
    request = wants(slow="1.0")

    async def story(bench: Bench) -> None:
        task = asyncio.get_running_loop().create_task(bench.builder.prepare(request, bench.said.append))
        async with asyncio.timeout(120):
            while not mark.exists():
                assert not task.done()
                await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await bench.builder.stop()  # waits for its end
        assert await bench.builder.all() == ()
        assert list((tmp_path / "environments" / "staging").iterdir()) == []
        assert list((tmp_path / "environments" / "ready").iterdir()) == []
        installer = int(mark.read_text())
        _wait_for(lambda: not _lives(installer))  # it was killed with its group, and takes a moment to be gone

    play(bench_of(tmp_path, own, install_cage="off"), story)  # the mark lies outside of all that it may change


@needs_landlock
def test_the_code_of_a_package_has_no_files_but_those_it_needs(tmp_path: Path) -> None:
    own = RRepository(tmp_path / "cran")
    secret = tmp_path / "keys"
    secret.write_text("do-not-tell\n")
    own.add("nosy", "1.0", f'said <- local({{ read <- readLines("{secret}"); function() read }})\n')
    failed = refusal(bench_of(tmp_path, own, install_cage="required"), wants(nosy="1.0"))
    assert any("Permission denied" in line for line in failed.lines), failed.lines


def test_a_server_that_is_killed_leaves_nothing_that_could_be_used(tmp_path: Path) -> None:
    own = RRepository(tmp_path / "cran")
    mark = tmp_path / "begun"
    _write_slow(own, mark)
    code = (
        "import asyncio, sys; from pathlib import Path; from environment_bench import Bench\n"
        "from salver.replicas.environments.renv import renv_request\n"
        "words = {'allow_source_packages': True, 'install_cage': 'off'}\n"
        "bench = Bench(Path(sys.argv[1]), r_repositories=(sys.argv[2],), **words)\n"
        "asyncio.run(bench.builder.prepare(renv_request(sys.argv[3], 'renv.lock'), print))\n"
    )
    paths = os.pathsep.join(sys.path)
    server = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path), own.url, renv_lock(slow="1.0")],
        env={**os.environ, "PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
    )
    _wait_for(mark.exists)
    server.kill()
    server.wait()
    installer = int(mark.read_text())
    _wait_for(lambda: not _lives(installer))
    bench = bench_of(tmp_path, own)
    assert bench.shelf.all() == ()
    assert bench.shelf.sweep() == 1
    assert list((tmp_path / "environments" / "staging").iterdir()) == []


def test_what_no_version_uses_is_removed_with_its_files(tmp_path: Path, repository: RRepository) -> None:
    async def story(bench: Bench) -> None:
        await bench.builder.prepare(wants(tinybase="2.0"), bench.said.append)
        assert [path.name for path in bench.shelf.sources.iterdir()] == ["tinybase_2.0.tar.gz"]
        kept = await bench.builder.prune([wants(tinybase="2.0")], is_plan=False)
        assert kept.removed == ()
        assert len((await bench.builder.prune([], is_plan=False)).removed) == 1
        assert list(bench.shelf.sources.iterdir()) == []

    play(bench_of(tmp_path, repository), story)


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def _write_slow(own: RRepository, mark: Path) -> None:
    """A package whose code, which runs when it is installed, says so and goes on for long."""
    code = f'said <- function() 1\ncat(Sys.getpid(), file = "{mark}.new")\nfile.rename("{mark}.new", "{mark}")\n'
    own.add("slow", "1.0", code + "Sys.sleep(600)\n")


def _wait_for(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120.0
    while not holds():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(0.02)


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
