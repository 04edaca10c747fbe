"""Builds of real environments by the real uv, from wheels of a few bytes."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from environment_bench import NEW, OLD, Bench, play, version_of
from salver.replicas.environments.base import BuildFailed, EnvironmentRequest
from tiny_wheels import make_wheel


@pytest.fixture
def bench(tmp_path: Path) -> Callable[..., Bench]:
    return lambda **settings: Bench(tmp_path, **settings)


def test_contradicting_versions_of_one_library_stand_side_by_side(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        old, new = await asyncio.gather(bench.python(OLD), bench.python(NEW))
        assert (version_of(old), version_of(new)) == ("1.0", "2.0")

    play(bench(), story)


def test_how_far_a_build_is_can_be_heard(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        await bench.python(OLD)
        assert bench.said[0].startswith("resolving 2 requirements for Python 3.")
        assert any(text.startswith("installing 2 packages") for text in bench.said)
        assert any(text.startswith("installed 2 packages") for text in bench.said)

    play(bench(), story)


def test_many_that_want_one_environment_at_once_get_one_build(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        others = [EnvironmentRequest(requirements=OLD.requirements, constraints=(f"six<{n}",)) for n in range(1, 4)]
        pythons = await asyncio.gather(*(bench.python(request) for request in (OLD, OLD, *others)))
        assert len(set(pythons)) == 1
        assert sum(text.startswith("installing") for text in set(bench.said)) == 1

    play(bench(builds_at_once=8), story)


def test_two_servers_on_one_folder_build_a_lock_once(tmp_path: Path) -> None:
    async def story(one: Bench) -> None:
        two = Bench(tmp_path)
        pythons = await asyncio.gather(one.python(OLD), two.python(OLD))
        assert len(set(pythons)) == 1
        said = [*one.said, *two.said]
        assert sum(text.startswith("installed ") for text in said) == 1
        await two.builder.stop()

    play(Bench(tmp_path), story)


def test_what_is_built_is_used_again_and_files_are_links(bench: Callable[..., Bench], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        python = await bench.python(OLD)
        library = next(Path(python).parent.parent.glob("lib/python*/site-packages/tinylib/__init__.py"))
        assert library.stat().st_nlink > 1
        assert not library.stat().st_mode & 0o222
        bench.said.clear()
        assert await bench.python(OLD) == python
        assert bench.said == []

    play(bench(), story)


def test_a_lock_is_kept_whatever_the_index_has_later(bench: Callable[..., Bench], tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        first = await bench.builder.lock(NEW, bench.said.append)
        make_wheel(bench.wheels, "tinylib", "3.0")
        assert await bench.builder.lock(NEW, bench.said.append) == first
        again = Bench(tmp_path, store=bench.store)
        assert version_of(await again.python(NEW)) == "2.0"
        assert "://" not in first.text
        assert str(tmp_path) not in first.text
        await again.builder.stop()

    play(bench(), story)


def test_a_file_that_is_not_the_one_of_the_lock_is_refused(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        lock = await bench.builder.lock(NEW, bench.said.append)
        other = "".join("f" if digit == "0" else "0" for digit in lock.text.rpartition("sha256:")[2].strip())
        text = lock.text.rpartition("sha256:")[0] + f"sha256:{other}\n"
        with pytest.raises(BuildFailed, match="not the one that the lock means") as caught:
            await bench.python(EnvironmentRequest(lock=text))
        assert any("Hash mismatch" in line for line in caught.value.lines)
        assert await bench.builder.all() == ()

    play(bench(), story)


@pytest.mark.parametrize(
    ("requirement", "told"),
    [("nothing-like-it", "no package of this name"), ("tinylib>=9", "cannot be met together")],
)
def test_what_cannot_be_resolved_is_told_with_the_last_lines(
    bench: Callable[..., Bench], requirement: str, told: str
) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed, match=told) as caught:
            await bench.python(EnvironmentRequest(requirements=("numpy", requirement)))
        assert caught.value.lines
        assert caught.value.fix

    play(bench(), story)


def test_where_building_is_off_what_is_built_is_used_and_nothing_else(tmp_path: Path) -> None:
    async def story(bench: Bench) -> None:
        python = await bench.python(OLD)
        off = Bench(tmp_path, store=bench.store, build_environments=False)
        assert await off.python(OLD) == python
        with pytest.raises(BuildFailed, match="building is turned off"):
            await off.python(NEW)
        await off.builder.stop()

    play(Bench(tmp_path), story)


def test_source_packages_run_no_code_unless_that_is_allowed(bench: Callable[..., Bench], tmp_path: Path) -> None:
    source = tmp_path / "source" / "evil-1.0"
    source.mkdir(parents=True)
    ran = tmp_path / "it-ran"
    (source / "setup.py").write_text(f"open({str(ran)!r}, 'w')\nfrom setuptools import setup\nsetup(name='evil')\n")
    (source / "PKG-INFO").write_text("Metadata-Version: 1.0\nName: evil\nVersion: 1.0\n")

    async def story(bench: Bench) -> None:
        shutil.make_archive(str(bench.wheels / "evil-1.0"), "gztar", source.parent, source.name)
        with pytest.raises(BuildFailed, match="no wheel for this interpreter"):
            await bench.python(EnvironmentRequest(requirements=("evil", "numpy")))

    play(bench(), story)
    assert not ran.exists()


def test_a_disk_that_is_nearly_full_ends_the_build(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed, match="the disk is full"):
            await bench.python(OLD)
        assert await bench.builder.all() == ()

    play(bench(environments_min_free_mb=2**40), story)


def test_a_build_that_takes_too_long_is_ended(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed, match=r"not built within 0\.01 s"):
            await bench.python(OLD)
        assert list((bench.shelf.cache.parent / "staging").iterdir()) == []

    play(bench(build_timeout_s=0.01), story)


def test_whoever_stops_waiting_ends_the_build_unless_others_wait(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        staying, going = (asyncio.ensure_future(bench.python(OLD)) for _ in range(2))
        await asyncio.sleep(0)
        going.cancel()
        assert version_of(await staying) == "1.0"
        alone = asyncio.ensure_future(bench.python(NEW))
        while not any("resolving" in text for text in bench.said[-1:]):  # noqa: ASYNC110  nothing else tells it
            await asyncio.sleep(0.01)
        alone.cancel()
        await asyncio.wait([alone])
        while list((bench.shelf.cache.parent / "staging").iterdir()):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        assert len(await bench.builder.all()) == 1

    play(bench(), story)


def test_whoever_asks_while_a_build_is_being_ended_gets_one_of_its_own(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        first = asyncio.create_task(bench.python(OLD))
        while not any("resolving" in text for text in bench.said):  # noqa: ASYNC110  nothing else tells it
            await asyncio.sleep(0)
        first.cancel()
        await asyncio.sleep(0)  # it stops waiting, and nobody else waits
        assert version_of(await bench.python(OLD)) == "1.0"
        assert first.cancelled()

    play(bench(), story)


def test_prune_removes_what_no_lock_needs_and_tells_it_beforehand(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        old = await bench.python(OLD)
        await bench.python(NEW)
        planned = await bench.builder.prune([OLD], is_plan=True)
        assert len(await bench.builder.all()) == 2
        pruned = await bench.builder.prune([OLD], is_plan=False)
        assert pruned == planned
        assert [each.id for each in pruned.kept] == [Path(old).parent.parent.name]
        assert [each.id for each in await bench.builder.all()] == [Path(old).parent.parent.name]
        assert version_of(await bench.python(NEW)) == "2.0"  # and it can be had again

    play(bench(), story)


def test_what_was_downloaded_goes_with_the_last_environment_that_has_it(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        await bench.python(OLD)
        await bench.python(EnvironmentRequest(requirements=("numpy",)))

        def downloaded(name: str) -> bool:
            return any(bench.shelf.cache.rglob(f"{name}-*.dist-info"))

        assert downloaded("tinylib")
        pruned = await bench.builder.prune([EnvironmentRequest(requirements=("numpy",))], is_plan=False)
        assert len(pruned.removed) == 1
        assert not downloaded("tinylib")
        assert downloaded("numpy")

    play(bench(), story)


def test_prune_keeps_all_with_a_lock_whose_interpreter_cannot_be_found(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        await bench.python(OLD)
        await bench.python(NEW)
        lost = EnvironmentRequest(requirements=OLD.requirements, python="3.2")
        bench.builder._book.keep(lost.digest, (await bench.builder.lock(OLD, bench.said.append)).text)
        pruned = await bench.builder.prune([lost], is_plan=False)
        assert len(pruned.removed) == 1
        assert len(pruned.kept) == 1

    play(bench(), story)


def test_the_bytecode_is_compiled_and_then_nothing_can_be_added(bench: Callable[..., Bench]) -> None:
    async def story(bench: Bench) -> None:
        folder = Path(await bench.python(OLD)).parent.parent
        while folder.stat().st_mode & 0o222:  # noqa: ASYNC110  nothing else tells it
            await asyncio.sleep(0.02)
        assert list(folder.glob("lib/python*/site-packages/tinylib/__pycache__/*.pyc"))

    play(bench(), story)


def test_nothing_is_installed_without_a_cage_where_one_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("salver.replicas.environments.programs.has_landlock", lambda: False)

    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed) as caught:
            await bench.python(OLD)
        assert "this kernel has no Landlock" in caught.value.message
        assert "install_cage" in (caught.value.fix or "")

    play(Bench(tmp_path, install_cage="required"), story)


def test_an_installer_sees_no_secrets_and_a_home_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spy = tmp_path / "uv"
    spy.write_text("#!/bin/sh\nenv\nexit 1\n")
    spy.chmod(0o755)
    monkeypatch.setenv("SECRET_TOKEN", "do-not-tell")
    monkeypatch.setattr("salver.replicas.environments.uv.uv_program", lambda: str(spy))

    async def story(bench: Bench) -> None:
        with pytest.raises(BuildFailed) as caught:
            await bench.python(OLD)
        told = dict(line.partition("=")[::2] for line in caught.value.lines)
        assert "do-not-tell" not in told.values()
        assert told["HOME"].startswith(str(tmp_path))
        assert told["UV_NO_CONFIG"] == "1"

    play(Bench(tmp_path), story)
