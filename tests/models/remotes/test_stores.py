"""What variables say of the stores that base paths are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from salver.errors import StartupError
from salver.models.remotes.stores import address_store, gcs_options, s3_options


@pytest.mark.parametrize(
    ("variables", "endpoint", "allow_http"),
    [
        ({}, None, False),
        ({"S3_ENDPOINT": "store:9000"}, "https://store:9000", False),
        ({"S3_ENDPOINT": "store:9000", "S3_USE_HTTPS": "0"}, "http://store:9000", True),
        ({"S3_ENDPOINT": "http://store:9000/", "S3_USE_HTTPS": "1"}, "http://store:9000", True),
        ({"S3_ENDPOINT": "https://store"}, "https://store", False),
    ],
)
def test_an_endpoint_of_s3_has_no_scheme(variables: dict[str, str], endpoint: str | None, allow_http: bool) -> None:
    config, client = s3_options(variables)
    assert (config.get("endpoint"), client["allow_http"]) == (endpoint, allow_http)


@pytest.mark.parametrize(
    ("variables", "region"),
    [
        ({}, "us-east-1"),
        ({"AWS_REGION": "eu-1", "AWS_DEFAULT_REGION": "eu-2"}, "eu-1"),
        ({"S3_REGION": "eu-3"}, "eu-3"),
        ({"AWS_DEFAULT_REGION": "eu-2"}, "eu-2"),
    ],
)
def test_the_region_of_s3_is_a_variable_of_aws(variables: dict[str, str], region: str) -> None:
    assert s3_options(variables)[0]["region"] == region


def test_keys_and_certificates_of_s3() -> None:
    config, client = s3_options(
        {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_SESSION_TOKEN": "c", "S3_VERIFY_SSL": "0"}
    )
    assert [config[name] for name in ("access_key_id", "secret_access_key", "session_token")] == ["a", "b", "c"]
    assert client["allow_invalid_certificates"] is True


@pytest.mark.parametrize(
    ("content", "option"), [({"private_key": "x"}, "service_account"), ({"type": "user"}, "application_credentials")]
)
def test_google_has_two_kinds_of_keys(content: Any, option: str, tmp_path: Path) -> None:
    path = tmp_path / "key.json"
    path.write_text(json.dumps(content))
    assert gcs_options({"GOOGLE_APPLICATION_CREDENTIALS": str(path)}) == {option: str(path)}
    assert gcs_options({}) == {}


def test_a_key_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="cannot be read as JSON"):
        address_store("gs://bucket/m", {"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "nowhere")})
