"""Opens the stores that buckets are in: by a remote and its options, or by an address and the usual variables."""

from __future__ import annotations

import importlib
import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from salver.errors import Code, StartupError
from salver.models.remotes.references import Remote

if TYPE_CHECKING:
    from salver.models.remotes.buckets import Store

USUAL_REGION = "us-east-1"
_CLIENT: Mapping[str, Any] = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(seconds=30),
    "timeout": timedelta(hours=6),
}
_RETRIES: Mapping[str, Any] = {"max_retries": 3, "retry_timeout": timedelta(seconds=30)}


def remote_store(remote: Remote, environment: Mapping[str, str]) -> Store:
    """The store of a remote; keys come from the variables that it names, else from where AWS's own tools look.

    Raises StartupError(SETTINGS_INVALID).
    """
    options = remote.options
    config: dict[str, Any] = {"skip_signature": options.get("anonymous") == "true"}
    for option, setting in (("key", "access_key_id"), ("secret", "secret_access_key"), ("token", "session_token")):
        variable = options.get(f"{option}_variable")
        if variable is not None:
            config[setting] = _secret(remote, variable, environment)
    if "region" in options:
        config["region"] = options["region"]
    if "endpoint" in options:
        config |= {"endpoint": options["endpoint"], "virtual_hosted_style_request": False}
    allow_http = options.get("endpoint", "").startswith("http://")
    return _s3(f"The remote {remote.name}", remote.url, config, {"allow_http": allow_http})


def _secret(remote: Remote, variable: str, environment: Mapping[str, str]) -> str:
    value = environment.get(variable)
    if not value:
        message = f"The remote {remote.name} names the variable {variable}, which is not set."
        raise StartupError(Code.SETTINGS_INVALID, message, fix=f"Set {variable} in the server's environment.")
    return value


# By address


def address_store(url: str, environment: Mapping[str, str]) -> Store:
    """The store of `s3://bucket/path` or `gs://bucket/path`, by the variables that TensorFlow reads for them.

    Raises StartupError(SETTINGS_INVALID).
    """
    if urlsplit(url).scheme.lower() == "gs":
        return _gcs(url, gcs_options(environment))
    config, client = s3_options(environment)
    return _s3(url, url, config, client)


def s3_options(environment: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What `AWS_` and `S3_` variables say: of the store, and of how it is reached.

    From TensorFlow's file system for S3: an endpoint has no scheme, and buckets are part of the path.
    """
    config: dict[str, Any] = {"virtual_hosted_style_request": False}
    named = ("AWS_REGION", "S3_REGION", "AWS_DEFAULT_REGION")
    config["region"] = next(filter(None, map(environment.get, named)), USUAL_REGION)
    for variable, option in (
        ("AWS_ACCESS_KEY_ID", "access_key_id"),
        ("AWS_SECRET_ACCESS_KEY", "secret_access_key"),
        ("AWS_SESSION_TOKEN", "session_token"),
    ):
        if environment.get(variable):
            config[option] = environment[variable]
    is_https = not environment.get("S3_USE_HTTPS", "1").startswith("0")
    endpoint = environment.get("S3_ENDPOINT", "")
    if endpoint:
        plain = endpoint.partition("://")[2] or endpoint
        is_https = is_https and not endpoint.startswith("http://")
        config["endpoint"] = f"{'https' if is_https else 'http'}://{plain.rstrip('/')}"
    client: dict[str, Any] = {"allow_http": not is_https}
    if environment.get("S3_VERIFY_SSL", "1").startswith("0"):
        client["allow_invalid_certificates"] = True
    return config, client


def gcs_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """What `GOOGLE_APPLICATION_CREDENTIALS` names: a service account, or what `gcloud auth` wrote.

    Raises StartupError(SETTINGS_INVALID).
    """
    path = environment.get("GOOGLE_APPLICATION_CREDENTIALS", "")
    if not path:
        return {}
    try:
        found = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        message = f"GOOGLE_APPLICATION_CREDENTIALS names {path}, which cannot be read as JSON: {error}."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Name the key file of a service account.") from error
    is_account = isinstance(found, dict) and "private_key" in found
    return {"service_account" if is_account else "application_credentials": path}


def _s3(name: str, url: str, config: Mapping[str, Any], client: Mapping[str, Any]) -> Store:
    return _opened("S3Store", name, url, config, client)


def _gcs(url: str, config: Mapping[str, Any]) -> Store:
    return _opened("GCSStore", url, url, config, {"allow_http": True})


def _opened(kind: str, name: str, url: str, config: Mapping[str, Any], client: Mapping[str, Any]) -> Store:
    try:
        store = importlib.import_module("obstore.store")
        from obstore.exceptions import BaseError
    except ImportError as error:
        message = f"{name} needs the extra s3."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Run `pip install 'salver[s3]'`.") from error
    parts = urlsplit(url)
    try:
        opened: Store = getattr(store, kind)(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            client_options={**_CLIENT, **client},
            retry_config=dict(_RETRIES),
            **config,
        )
    except (BaseError, ValueError) as error:
        message = f"{name} cannot be used: {error}."
        raise StartupError(Code.SETTINGS_INVALID, message, fix="Correct its address and options.") from error
    return opened
