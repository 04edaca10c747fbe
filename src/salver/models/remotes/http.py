"""Artefacts at addresses: fetched with care, and taken only when their bytes have the digest that was named."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import httpx
import msgspec

from salver.errors import Code, LoadError
from salver.models.remotes.base import Seen, SourceGone
from salver.models.remotes.references import Reference, without_secrets

_CHUNK_BYTES = 1024 * 1024
_MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96")
"""IPv6 addresses that stand for those of IPv4 (RFC 6052)."""
_PASSING = (408, 425, 429, 500, 502, 503, 504)
"""Answers that another try may not get."""


class HttpLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much is fetched, and how patiently."""

    max_bytes: int = 1024**4
    attempts: int = 4
    """Tries that bring no more than a MiB each; one that does begins the count anew."""
    backoff_s: float = 1.0
    connect_timeout_s: float = 10.0
    read_timeout_s: float = 30.0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A version that somebody declared to be at an address."""

    model: str
    version: int
    reference: Reference


class HttpSource:
    """The declared versions. What their bytes are is known beforehand, so looking asks nobody."""

    def __init__(self, wanted: Sequence[Wanted], fetcher: HttpFetcher) -> None:
        self.name = "http"
        self._wanted = tuple(wanted)
        self._fetcher = fetcher

    async def look(self) -> tuple[Seen, ...]:
        return tuple(
            Seen(
                model=each.model,
                version=each.version,
                fetch=functools.partial(self._fetcher.fetch, each.reference),
                stamp=each.reference.digest,
                source=without_secrets(each.reference.text),
            )
            for each in self._wanted
        )


class HttpFetcher:
    """Fetches one file at a time. Waits for the network and the disk."""

    def __init__(
        self,
        environment: Mapping[str, str],
        limits: HttpLimits | None = None,
        pause: Callable[[float], object] | None = None,
    ) -> None:
        """`environment` has the variables that remotes name for their tokens."""
        self._environment = environment
        self._limits = limits or HttpLimits()
        self._is_over = threading.Event()
        self._pause = pause or self._is_over.wait

    def stop(self) -> None:
        """Have every fetch end at its next bytes, in whatever thread: a server that stops waits for its threads."""
        self._is_over.set()

    def fetch(self, reference: Reference, folder: Path) -> Path:
        """The file in `folder`, which had none of its name.

        Raises SourceGone when the other side cannot be asked, LoadError when it says no or has other bytes.
        """
        if reference.remote is None:
            _check_public(httpx.URL(reference.url).host)
        path = folder / reference.file_name
        try:
            with path.open("xb") as file, self._client(reference) as client:
                found = self._patiently(client, reference, _Progress(file))
            if found != reference.digest:
                message = f"{reference.shown} has another digest than the one that was named."
                fix = "Compare the digest with whoever made the file; fetch again."
                raise LoadError(Code.LOAD_FAILED, message, fix=fix)
        except FileExistsError as error:
            raise _unwritable(path, error) from error
        except OSError as error:
            path.unlink(missing_ok=True)
            raise _unwritable(path, error) from error
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        return path

    def _patiently(self, client: httpx.Client, reference: Reference, progress: _Progress) -> str:
        """Fetch, and go on where it broke off; returns the digest of what came."""
        failures = 0
        while True:
            before = progress.furthest
            try:
                self._once(client, reference, progress)
                return progress.digest
            except (httpx.TransportError, httpx.InvalidURL, _NotNow) as error:
                failures = 1 if progress.furthest > before + _CHUNK_BYTES else failures + 1
                if failures >= self._limits.attempts:
                    raise _gone(reference, str(error) or type(error).__name__) from error
            self._pause(self._limits.backoff_s * 2 ** (failures - 1))
            self._check_time(reference)

    def _check_time(self, reference: Reference) -> None:
        if self._is_over.is_set():
            raise _gone(reference, "the server stops")

    def _once(self, client: httpx.Client, reference: Reference, progress: _Progress) -> None:
        with self._answer(client, reference, progress) as response:
            self._check_answer(reference, response, progress)
            for chunk in response.iter_raw():
                self._check_time(reference)
                if progress.size + len(chunk) > self._limits.max_bytes:
                    raise self._too_large(reference)
                progress.add(chunk)

    @contextmanager
    def _answer(self, client: httpx.Client, reference: Reference, progress: _Progress) -> Iterator[httpx.Response]:
        """The first answer that is no redirect; redirects stay at the host that was declared."""
        url = origin = httpx.URL(reference.url)
        for _ in range(_MAX_REDIRECTS + 1):
            with client.stream("GET", url, headers=self._headers(reference, progress)) as response:
                if reference.remote is None:
                    _check_peer(response, url)
                if response.status_code not in _REDIRECTS or "location" not in response.headers:
                    yield response
                    return
                url = url.join(response.headers["location"])
            if (url.scheme, url.host, url.port) != (origin.scheme, origin.host, origin.port):
                fix = "Declare that host as a remote of its own in the setting `remotes`, and name it."
                raise LoadError(Code.LOAD_FAILED, f"{reference.shown} leads to another host, {url.host}.", fix=fix)
        fix = "Ask whoever runs that server."
        raise LoadError(
            Code.LOAD_FAILED, f"{reference.shown} leads on and on, more than {_MAX_REDIRECTS} times.", fix=fix
        )

    def _headers(self, reference: Reference, progress: _Progress) -> dict[str, str]:
        headers = {"Accept-Encoding": "identity", "User-Agent": "salver"}
        if progress.size and progress.etag:
            headers |= {"Range": f"bytes={progress.size}-", "If-Range": progress.etag}
        variable = reference.remote.options.get("token_variable") if reference.remote else None
        if variable is not None:
            token = self._environment.get(variable)
            if not token:
                fix = f"Set {variable} in the server's environment."
                raise LoadError(Code.LOAD_FAILED, f"The token for {reference.shown} is missing.", fix=fix)
            headers["Authorization"] = f"Bearer {token}"
        return headers

    def _check_answer(self, reference: Reference, response: httpx.Response, progress: _Progress) -> None:
        """Raises unless the bytes that follow belong behind those that are here, which begin anew if need be."""
        status = response.status_code
        if status in _PASSING:
            raise _NotNow(f"it answered {status}")
        if status == 416:
            progress.begin(None)
            raise _NotNow("it has no more bytes than it sent")
        if status not in (200, 206):
            raise _refused(reference, status)
        if response.headers.get("content-encoding", "identity") != "identity":
            fix = "Have that server send the file as it is."
            raise LoadError(Code.LOAD_FAILED, f"{reference.shown} came packed, unasked.", fix=fix)
        if status == 200:
            progress.begin(response.headers.get("etag"))
        elif not response.headers.get("content-range", "").startswith(f"bytes {progress.size}-"):
            progress.begin(None)
            raise _NotNow("it sent other bytes than it was asked for")
        length = response.headers.get("content-length", "")
        if length.isdigit() and progress.size + int(length) > self._limits.max_bytes:
            raise self._too_large(reference)

    def _too_large(self, reference: Reference) -> LoadError:
        message = f"{reference.shown} has more than {self._limits.max_bytes} bytes."
        return LoadError(Code.LOAD_FAILED, message, fix="Raise the setting `max_artefact_gb`.")

    def _client(self, reference: Reference) -> httpx.Client:
        """Certificates are checked. Proxies of the environment serve remotes elsewhere, and nothing on this machine."""
        timeout = httpx.Timeout(self._limits.read_timeout_s, connect=self._limits.connect_timeout_s)
        uses_proxies = reference.remote is not None and not _is_loopback(httpx.URL(reference.url).host)
        return httpx.Client(timeout=timeout, follow_redirects=False, trust_env=uses_proxies)


class _NotNow(Exception):
    """Another try may help."""


class _Progress:
    """The file as far as it has come, and the digest of that."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.furthest = 0
        """Its greatest size so far."""
        self.begin(None)

    def begin(self, etag: str | None) -> None:
        """Forget what has come. A weak ETag says nothing of bytes."""
        self._file.seek(0)
        self._file.truncate()
        self._digest = hashlib.sha256()
        self.size = 0
        self.etag = etag if etag and not etag.startswith("W/") else None

    def add(self, chunk: bytes) -> None:
        self._file.write(chunk)
        self._digest.update(chunk)
        self.size += len(chunk)
        self.furthest = max(self.furthest, self.size)

    @property
    def digest(self) -> str:
        return self._digest.hexdigest()


def _check_public(host: str) -> None:
    """Whether a host that nobody declared may be asked. One that cannot be found is not; connecting tells it."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return
    for _, _, _, _, address in found:
        if not _is_public(str(address[0])):
            raise _private(host)


def _check_peer(response: httpx.Response, url: httpx.URL) -> None:
    """The same of whom we did reach: names can change their meaning between two questions."""
    peer = response.extensions["network_stream"].get_extra_info("server_addr")
    if peer is None or not _is_public(peer[0]):
        raise _private(url.host)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and (found.ipv4_mapped or found in _TRANSLATED):
        return ipaddress.IPv4Address(int(found) & 0xFFFFFFFF).is_global
    return found.is_global


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _private(host: str) -> LoadError:
    fix = "Declare it as a remote in the setting `remotes`, if models may come from there."
    return LoadError(Code.INVALID_INPUT, f"{host} is in a private network.", fix=fix)


def _refused(reference: Reference, status: int) -> LoadError:
    if status in (401, 403):
        fix = "Name the variable that holds a token: token_variable=NAME behind the remote's address."
        return LoadError(Code.LOAD_FAILED, f"{reference.shown} may not be read ({status}).", fix=fix)
    if status in (404, 410):
        return LoadError(Code.LOAD_FAILED, f"There is nothing at {reference.shown}.", fix="Check the path.")
    return LoadError(Code.LOAD_FAILED, f"{reference.shown} answered {status}.", fix="Ask whoever runs that server.")


def _unwritable(path: Path, error: OSError) -> LoadError:
    fix = "Make room in the data directory."
    return LoadError(Code.LOAD_FAILED, f"{path} cannot be written: {error.strerror}.", fix=fix)


def _gone(reference: Reference, reason: str) -> SourceGone:
    message = f"{reference.shown} cannot be fetched now: {reason}."
    return SourceGone(Code.LOAD_FAILED, message, fix="Try again later, or check the address and the network.")
