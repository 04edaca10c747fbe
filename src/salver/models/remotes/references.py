"""What a remote and a reference to an artefact mean, as people write them. Pure.

zoo=https://models.example.com/zoo token_variable=ZOO_TOKEN          a remote
lake=s3://bucket/prefix endpoint=https://s3.example.com region=eu    a remote
zoo:vision/resnet.onnx@sha256:<64 hex digits>                        an artefact of a remote
https://example.com/resnet.onnx@sha256:<64 hex digits>               one at an address of its own, where allowed
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import SplitResult, quote, unquote, urlsplit

import msgspec

from salver.errors import Code, LoadError, StartupError
from salver.models.archiverules import plain_parts
from salver.models.listing import is_digest
from salver.models.manifestwords import closest
from salver.models.naming import NAME_RULE, is_name

OPTIONS = {
    "http": ("token_variable",),
    "https": ("token_variable",),
    "s3": ("endpoint", "region", "key_variable", "secret_variable", "token_variable", "anonymous"),
}
"""What each kind of remote may be told besides its address. A `_variable` names an environment variable."""

_REFERENCE = re.compile(r"(?P<place>.+)@sha256:(?P<digest>[0-9a-fA-F]{64})")
_USER = re.compile(r"//.*@(?!sha256:)")  # a password may even have a slash
_QUERY = re.compile(r"\?.+?(?=@sha256:[0-9a-fA-F]{64}$|$)")
_FORM = "Write remote:path@sha256:<digest>; `sha256sum FILE` prints the digest."


class Remote(msgspec.Struct, frozen=True, kw_only=True):
    """A place to fetch models from that whoever runs the server has named."""

    name: str
    url: str
    """Without a slash at its end."""
    options: dict[str, str] = {}

    @property
    def scheme(self) -> str:
        return self.url.partition(":")[0]


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """One artefact somewhere, and the digest that its bytes must have."""

    text: str
    url: str
    digest: str
    file_name: str
    remote: Remote | None = None
    """None for an address that belongs to no remote."""

    @property
    def shown(self) -> str:
        """The address for messages."""
        return without_secrets(self.url)


def without_secrets(text: str) -> str:
    """An address, or a reference, for messages and records: without the user, the password and the query in it."""
    return _QUERY.sub("?...", _USER.sub("//...@", text))


def parse_remotes(texts: Sequence[str]) -> dict[str, Remote]:
    """The remotes by their names. Raises StartupError(SETTINGS_INVALID)."""
    remotes: dict[str, Remote] = {}
    for text in texts:
        remote = _remote(text)
        if remote.name in remotes:
            raise _invalid(text, f"there are two remotes called {remote.name}", "Give one of them another name.")
        remotes[remote.name] = remote
    return remotes


def parse_reference(text: str, remotes: Mapping[str, Remote], *, allow_urls: bool) -> Reference:
    """The artefact that is meant. Raises LoadError(INVALID_INPUT), also for an address that may not be used."""
    match = _REFERENCE.fullmatch(text)
    if match is None:
        raise _unfit(f"{without_secrets(text)!r} does not end in the digest of the file.", _FORM)
    digest = match["digest"].lower()
    assert is_digest(digest)
    if "://" in match["place"]:
        return _free(text, match["place"], digest, allow_urls=allow_urls)
    name, _, path = match["place"].partition(":")
    remote = remotes.get(name)
    if remote is None:
        near = closest(name, sorted(remotes))
        known = f"Did you mean {near}?" if near else f"Known are: {', '.join(sorted(remotes)) or 'none'}."
        raise _unfit(f"There is no remote called {name!r}.", f"{known} The setting `remotes` names them.")
    parts = plain_parts(path)
    if parts is None:
        raise _unfit(f"{path!r} is no path below a remote.", _FORM)
    if remote.scheme == "s3":
        raise _unfit(f"{name} is an S3 remote; its versions are seen by themselves.", "Look at `salver versions`.")
    url = f"{remote.url}/{quote('/'.join(parts))}"
    return Reference(text=text, url=url, digest=digest, file_name=parts[-1], remote=remote)


def _remote(text: str) -> Remote:
    name, _, rest = text.partition("=")
    url, *options = rest.split() or [""]
    if not is_name(name):
        raise _invalid(text, f"{name!r} names no remote", f"Begin with a name ({NAME_RULE}) and `=`.")
    parts = _split(url)
    if parts is None or parts.scheme not in OPTIONS:
        raise _invalid(text, f"{url!r} is no https, http or s3 address", "Write it as https://host/path.")
    if parts.username or parts.password:
        raise _invalid(
            text, "it holds a password", "Put that in an environment variable, named by token_variable=NAME."
        )
    if parts.query or parts.fragment:
        raise _invalid(text, "its address has a ? or #", "Leave that out; paths are put behind the address.")
    return Remote(name=name, url=url.rstrip("/"), options=_options(text, parts.scheme, options))


def _options(text: str, scheme: str, words: Sequence[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name not in OPTIONS[scheme] or not value:
            known = ", ".join(f"{option}=..." for option in OPTIONS[scheme])
            raise _invalid(text, f"{word!r} is no option of it", f"Known are: {known}.")
        options[name] = value
    return options


def _free(text: str, url: str, digest: str, *, allow_urls: bool) -> Reference:
    shown = without_secrets(url)
    if not allow_urls:
        fix = "Name the place in the setting `remotes`, or start the server with --allow-urls."
        raise _unfit(f"{shown} belongs to no remote, and addresses of their own are not allowed here.", fix)
    parts = _split(url)
    if parts is None or parts.scheme != "https" or parts.username or parts.password or parts.fragment:
        raise _unfit(f"{shown} is no plain https address.", "Write it as https://host/path, without a password.")
    name = unquote(parts.path).rpartition("/")[2]
    if plain_parts(name) is None:
        raise _unfit(f"{shown} ends in no file's name.", "Give the address of one file.")
    return Reference(text=text, url=url, digest=digest, file_name=name)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _invalid(text: str, problem: str, fix: str) -> StartupError:
    message = f"The remote `{without_secrets(text)}` cannot be used: {problem}."
    return StartupError(Code.SETTINGS_INVALID, message, fix=fix)


def _unfit(message: str, fix: str) -> LoadError:
    return LoadError(Code.INVALID_INPUT, message, fix=fix)
