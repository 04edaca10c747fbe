"""What an installer may read, and what it may change: all other files are not there for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

import msgspec

SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/proc"),
    *("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/dev/fd"),
    *("/etc/ssl", "/etc/ca-certificates", "/etc/pki", "/etc/resolv.conf", "/run/systemd/resolve", "/etc/hosts"),
    *("/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/passwd", "/etc/group", "/etc/localtime"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/os-release", "/etc/R"),
)
"""Programs, libraries, certificates, and how names of machines are looked up; no keys, and nobody's home."""
WRITABLE = ("/dev/null",)
INDEXES = ("UV_DEFAULT_INDEX", "UV_INDEX")
PLACES = (*INDEXES, "UV_FIND_LINKS", "UV_CONSTRAINT", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""Variables that may name files and folders, several with spaces or commas between them."""


class Cage(msgspec.Struct, frozen=True, kw_only=True):
    """Folders and files, each with all that is below it. Nothing writable: no cage."""

    readable: tuple[str, ...] = ()
    writable: tuple[str, ...] = ()


def cage(programs: Iterable[str], variables: Mapping[str, str], writable: Iterable[str]) -> Cage:
    """`programs` are the prefixes of interpreters and the folders of whatever else is run or read."""
    named = (path for name in PLACES for path in local_paths(variables.get(name, "")))
    mirrors = (root for name in INDEXES for path in local_paths(variables.get(name, "")) for root in _mirror(path))
    readable = dict.fromkeys((*SYSTEM, *programs, *named, *mirrors))
    return Cage(
        readable=tuple(path for path in readable if path and ":" not in path),
        writable=tuple(path for path in (*WRITABLE, *writable) if ":" not in path),
    )


def _mirror(index: str) -> tuple[str, ...]:
    """The folder around an index of this machine: its pages lead to files beside it."""
    around = PurePosixPath(index).parent
    return (str(around),) if around.parent != around else ()


def home_of(program: str) -> tuple[str, ...]:
    """The folder around the `bin` that a program lies in."""
    return (str(PurePosixPath(program).parent.parent),)


def local_paths(text: str) -> list[str]:
    """The files and folders of this machine among addresses and paths, as `https://a/simple file:///b /c`."""
    found = []
    for word in text.replace(",", " ").split():
        address = urlsplit(word.partition("=")[2] if "=" in word.partition("://")[0] else word)
        if address.scheme == "file":
            found.append(unquote(address.path))
        elif not address.scheme and PurePosixPath(address.path).is_absolute():
            found.append(address.path)
    return found
