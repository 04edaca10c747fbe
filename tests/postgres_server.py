"""A Postgres server of the tests' own: Debian's programs, a private folder, a Unix socket and no port."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

PROGRAMS = Path("/usr/lib/postgresql")
START_WITHIN_S = 60
USER = "salver"


def programs() -> Path | None:
    """The folder of the newest installed server's programs, or None."""
    on_path = shutil.which("initdb")
    folders = [*PROGRAMS.glob("*/bin"), *([Path(on_path).resolve().parent] if on_path else [])]
    whole = [folder for folder in folders if all((folder / name).exists() for name in ("initdb", "pg_ctl", "psql"))]
    return max(whole, key=_release, default=None)


def _release(folder: Path) -> int:
    """As Debian names the folder above; 0 elsewhere."""
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


class PostgresServer:
    """Can be stopped and started again. Postgres refuses to run as root, so then it runs as `nobody`.

    It does not wait for the disk: its own death is tested, not the machine's.
    """

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._folder = Path(tempfile.mkdtemp(prefix="salver-pg-"))  # short: the name of a Unix socket has few bytes
        self._numbers = itertools.count()
        self._nobody = pwd.getpwnam("nobody") if os.getuid() == 0 else None
        if self._nobody is not None:
            os.chown(self._folder, self._nobody.pw_uid, self._nobody.pw_gid)
        self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--no-sync", self._data)
        self.start()

    def start(self) -> None:
        options = f"-F -k {self._folder} -c listen_addresses='' -c max_connections=50"
        log = str(self._folder / "log")
        self._run("pg_ctl", "start", "-w", "-t", str(START_WITHIN_S), "-D", self._data, "-l", log, "-o", options)

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: every connection breaks, and the next start recovers from the log."""
        self._run("pg_ctl", "stop", "-w", "-D", self._data, "-m", mode)

    def new_database(self) -> str:
        """The URL of an empty one."""
        name = f"test_{next(self._numbers)}"
        self.psql("postgres", f"CREATE DATABASE {name} TEMPLATE template0")
        return f"postgresql://{USER}@/{name}?host={self._folder}"

    def drop_database(self, url: str) -> None:
        """Whoever still uses it is cut off."""
        name = url.partition("@/")[2].partition("?")[0]
        self.psql("postgres", f"DROP DATABASE {name} WITH (FORCE)")

    def psql(self, database: str, statement: str) -> str:
        """What the statement gives, run beside whatever else uses the database."""
        words = ("-h", str(self._folder), "-U", USER, "-d", database, "-v", "ON_ERROR_STOP=1", "-qtA", "-c", statement)
        return self._run("psql", *words)

    def close(self) -> None:
        try:
            self.stop()
        finally:
            shutil.rmtree(self._folder)

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *arguments: str) -> str:
        user = {} if self._nobody is None else {"user": self._nobody.pw_uid, "group": self._nobody.pw_gid}
        out, err = self._folder / "out", self._folder / "err"
        with out.open("wb") as to_out, err.open("wb") as to_err:  # the server left running would hold a pipe open
            done = subprocess.run(
                [str(self._programs / program), *arguments],
                cwd=self._folder,
                env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
                stdin=subprocess.DEVNULL,
                stdout=to_out,
                stderr=to_err,
                extra_groups=[] if user else None,
                check=False,
                **user,
            )
        assert done.returncode == 0, f"{program} {arguments}: {err.read_text()}"
        return out.read_text().strip()
