"""A file is fetched from an address with patience and care, and taken only with the digest that was named."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ipaddress
import re
import ssl
from pathlib import Path

import pytest

from salver.errors import LoadError
from salver.models.remotes.base import SourceGone
from salver.models.remotes.http import HttpFetcher, HttpLimits, HttpSource, Wanted
from salver.models.remotes.references import Reference, Remote, parse_reference, parse_remotes
from web_server import Answer, WebServer

BODY = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(BODY).hexdigest()
ETAG = '"one"'


class Shop:
    """A remote called zoo, a fetcher that does not wait, and an empty folder."""

    def __init__(self, web: WebServer, folder: Path) -> None:
        self.web, self.folder = web, folder
        self.pauses: list[float] = []
        self.options = ""
        self.limits = HttpLimits()
        self.environment: dict[str, str] = {}

    def reference(self, path: str = "model.onnx", digest: str = DIGEST) -> Reference:
        remotes = parse_remotes([f"zoo={self.web.url}/zoo {self.options}"])
        return parse_reference(f"zoo:{path}@sha256:{digest}", remotes, allow_urls=False)

    def fetch(self, reference: Reference | None = None) -> Path:
        fetcher = HttpFetcher(self.environment, self.limits, self.pauses.append)
        return fetcher.fetch(reference or self.reference(), self.folder)

    def refused(self, reference: Reference | None = None) -> str:
        with pytest.raises(LoadError) as caught:
            self.fetch(reference)
        assert not isinstance(caught.value, SourceGone)
        assert caught.value.fix
        assert list(self.folder.iterdir()) == []
        return caught.value.message.replace(self.web.url, "http://zoo")

    def gone(self, reference: Reference | None = None) -> str:
        with pytest.raises(SourceGone) as caught:
            self.fetch(reference)
        assert list(self.folder.iterdir()) == []
        return caught.value.message.replace(self.web.url, "http://zoo")


@pytest.fixture
def shop(web: WebServer, tmp_path: Path) -> Shop:
    (tmp_path / "staging").mkdir()
    web.answer = whole
    return Shop(web, tmp_path / "staging")


def whole(path: str, headers: dict[str, str]) -> Answer:
    return 200, {"ETag": ETAG}, BODY


def ranged(headers: dict[str, str]) -> int | None:
    """Where the asked range begins."""
    match = re.fullmatch(r"bytes=(\d+)-", headers.get("range", ""))
    return int(match[1]) if match else None


def broken_every(count: int, *, etag: str = ETAG, has_ranges: bool = True) -> WebServer:
    """An answer that breaks off after `count` bytes, and goes on where it is asked to."""

    def answer(path: str, headers: dict[str, str]) -> Answer:
        start = ranged(headers) if has_ranges and headers.get("if-range") == etag else None
        if start is None:
            return 200, {"ETag": etag, "Content-Length": str(len(BODY))}, BODY[:count]
        fields = {"Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}", "ETag": etag}
        return 206, {**fields, "Content-Length": str(len(BODY) - start)}, BODY[start : start + count]

    return answer  # type: ignore[return-value]


def test_a_file_with_the_right_digest_is_taken(shop: Shop) -> None:
    path = shop.fetch()
    assert path == shop.folder / "model.onnx"
    assert path.read_bytes() == BODY
    (asked,) = shop.web.requests
    assert asked[0] == "/zoo/model.onnx"
    assert asked[1]["accept-encoding"] == "identity"


def test_declared_versions_are_seen_without_asking_anybody(shop: Shop) -> None:
    shop.web.answer = lambda path, headers: (500, {}, b"")
    fetcher = HttpFetcher({}, shop.limits, shop.pauses.append)
    source = HttpSource([Wanted(model="spam", version=3, reference=shop.reference())], fetcher)
    (seen,) = asyncio.run(source.look())
    assert (str(seen.id), seen.stamp, shop.web.requests) == ("spam/3", DIGEST, [])
    with pytest.raises(SourceGone):
        seen.fetch(shop.folder)
    assert asyncio.run(source.look())[0].id == seen.id


@pytest.mark.parametrize("flipped", [0, len(BODY) // 2, len(BODY) - 1])
def test_a_flipped_bit_is_refused(shop: Shop, flipped: int) -> None:
    body = bytearray(BODY)
    body[flipped] ^= 1
    shop.web.answer = lambda path, headers: (200, {}, bytes(body))
    message = shop.refused()
    assert message == "http://zoo/zoo/model.onnx has another digest than the one that was named."
    assert hashlib.sha256(body).hexdigest() not in message, "who knows it may have the file"


def test_a_server_that_stops_does_not_wait_for_what_is_fetched(shop: Shop) -> None:
    fetcher = HttpFetcher({}, shop.limits)
    fetcher.stop()
    shop.web.answer = lambda path, headers: (200, {}, BODY)
    with pytest.raises(SourceGone, match="the server stops"):
        fetcher.fetch(shop.reference(), shop.folder)
    shop.web.answer = lambda path, headers: (503, {}, b"")
    with pytest.raises(SourceGone, match="the server stops"):
        fetcher.fetch(shop.reference(), shop.folder)
    assert list(shop.folder.iterdir()) == []


def test_a_file_that_is_short_without_saying_so_is_refused(shop: Shop) -> None:
    shop.web.answer = lambda path, headers: (200, {}, BODY[:-1])
    assert "another digest than" in shop.refused()


@pytest.mark.parametrize("status", [500, 502, 503, 429])
def test_a_server_in_trouble_is_asked_again_and_then_left(shop: Shop, status: int) -> None:
    shop.web.answer = lambda path, headers: (status, {}, b"")
    assert shop.gone() == f"http://zoo/zoo/model.onnx cannot be fetched now: it answered {status}."
    assert len(shop.web.requests) == 4
    assert shop.pauses == [1.0, 2.0, 4.0]


def test_trouble_that_passes_is_forgotten(shop: Shop) -> None:
    answers = iter([(503, {}, b""), (500, {}, b"")])
    shop.web.answer = lambda path, headers: next(answers, None) or whole(path, headers)
    assert shop.fetch().read_bytes() == BODY


def test_a_server_that_is_not_there_is_told(shop: Shop) -> None:
    shop.web.server.server_close()
    assert shop.gone().startswith("http://zoo/zoo/model.onnx cannot be fetched now: ")


def test_what_broke_off_goes_on_where_it_was(shop: Shop) -> None:
    shop.web.answer = broken_every(len(BODY) // 3 + 1)  # type: ignore[assignment]
    assert shop.fetch().read_bytes() == BODY
    starts = [ranged(headers) for _, headers in shop.web.requests]
    assert starts[0] is None
    assert starts[1:] == sorted(start for start in starts[1:] if start)
    assert len(starts) == 3


@pytest.mark.parametrize("etag", [ETAG, 'W/"weak"'])
def test_what_cannot_go_on_begins_anew_and_ends(shop: Shop, etag: str) -> None:
    shop.web.answer = broken_every(1000, etag=etag, has_ranges=False)  # type: ignore[assignment]
    assert "cannot be fetched now" in shop.gone()
    assert len(shop.web.requests) == 4


def test_a_file_that_changed_between_two_tries_begins_anew(shop: Shop) -> None:
    broken = broken_every(1000, etag='"old"')

    def answer(path: str, headers: dict[str, str]) -> Answer:
        is_first = len(shop.web.requests) == 1
        return broken(path, headers) if is_first else whole(path, headers)  # type: ignore[operator]

    shop.web.answer = answer
    assert shop.fetch().read_bytes() == BODY


@pytest.mark.parametrize("second", [(206, {"Content-Range": "bytes 0-9/10"}, b"0123456789"), (416, {}, b"")])
def test_a_wrong_range_begins_anew(shop: Shop, second: Answer) -> None:
    answers = iter([(200, {"ETag": ETAG, "Content-Length": str(len(BODY))}, BODY[:1000]), second])
    shop.web.answer = lambda path, headers: next(answers, None) or whole(path, headers)
    assert shop.fetch().read_bytes() == BODY
    assert ranged(shop.web.requests[2][1]) is None


@pytest.mark.parametrize("is_announced", [True, False])
def test_a_file_that_is_too_large_is_refused(shop: Shop, is_announced: bool) -> None:
    shop.limits = HttpLimits(max_bytes=len(BODY) - 1)
    fields = {} if is_announced else {"Content-Length": ""}
    shop.web.answer = lambda path, headers: (200, fields, BODY)
    assert shop.refused() == f"http://zoo/zoo/model.onnx has more than {len(BODY) - 1} bytes."


def test_packed_answers_are_refused(shop: Shop) -> None:
    shop.web.answer = lambda path, headers: (200, {"Content-Encoding": "gzip"}, b"")
    assert shop.refused() == "http://zoo/zoo/model.onnx came packed, unasked."


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (404, "There is nothing at http://zoo/zoo/model.onnx."),
        (401, "http://zoo/zoo/model.onnx may not be read (401)."),
        (418, "http://zoo/zoo/model.onnx answered 418."),
        (304, "http://zoo/zoo/model.onnx answered 304."),
    ],
)
def test_refusals_are_told_at_once(shop: Shop, status: int, message: str) -> None:
    shop.web.answer = lambda path, headers: (status, {}, b"")
    assert shop.refused() == message
    assert len(shop.web.requests) == 1


def test_redirects_at_the_same_host_are_followed(shop: Shop) -> None:
    shop.web.answer = lambda path, headers: (
        whole(path, headers) if path == "/other" else (302, {"Location": "/other"}, b"")
    )
    assert shop.fetch().read_bytes() == BODY


@pytest.mark.parametrize(
    "location", ["http://example.com/x", "https://127.0.0.1/x", "http://127.0.0.1:1/x", "//[::1]/x"]
)
def test_redirects_to_other_hosts_are_refused(shop: Shop, location: str) -> None:
    shop.web.answer = lambda path, headers: (302, {"Location": location}, b"")
    assert shop.refused().startswith("http://zoo/zoo/model.onnx leads to another host, ")
    assert len(shop.web.requests) == 1


def test_endless_redirects_are_refused(shop: Shop) -> None:
    shop.web.answer = lambda path, headers: (302, {"Location": path + "x"}, b"")
    assert shop.refused() == "http://zoo/zoo/model.onnx leads on and on, more than 5 times."


def test_a_token_is_sent_to_its_remote(shop: Shop) -> None:
    shop.options = "token_variable=ZOO_TOKEN"
    assert shop.refused() == "The token for http://zoo/zoo/model.onnx is missing."
    shop.environment["ZOO_TOKEN"] = "secret"
    shop.fetch()
    assert shop.web.requests[0][1]["authorization"] == "Bearer secret"


def test_proxies_are_not_used_on_this_machine(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert shop.fetch().read_bytes() == BODY


def test_a_full_disk_is_told(shop: Shop) -> None:
    (shop.folder / "model.onnx").mkdir()
    with pytest.raises(LoadError, match="cannot be written: File exists"):
        shop.fetch()


# Addresses of their own


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost", "10.0.0.1", "169.254.169.254", "[::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]"]
)
def test_private_networks_are_refused_when_nobody_declared_them(shop: Shop, host: str) -> None:
    reference = parse_reference(f"https://{host}/a.onnx@sha256:{DIGEST}", {}, allow_urls=True)
    assert shop.refused(reference) == f"{host.strip('[]')} is in a private network."


def test_a_name_that_came_to_mean_a_private_host_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """As rebinding does: the first look finds a public address, the connection a private one."""
    monkeypatch.setattr("salver.models.remotes.http._check_public", lambda host: None)
    reference = Reference(text="", url=f"{shop.web.url}/a.onnx", digest=DIGEST, file_name="a.onnx")
    assert shop.refused(reference) == "127.0.0.1 is in a private network."


def test_certificates_are_checked(shop: Shop, tmp_path: Path) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate(tmp_path))
    shop.web.server.socket = context.wrap_socket(shop.web.server.socket, server_side=True)
    url = shop.web.url.replace("http:", "https:")
    reference = Reference(
        text="", url=f"{url}/a.onnx", digest=DIGEST, file_name="a.onnx", remote=Remote(name="zoo", url=url)
    )
    assert "CERTIFICATE_VERIFY_FAILED" in shop.gone(reference)
    assert shop.web.requests == []


def certificate(folder: Path) -> Path:
    """A certificate that nobody has signed but itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + dt.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = folder / "certificate.pem"
    path.write_bytes(pem + made.public_bytes(serialization.Encoding.PEM))
    return path
