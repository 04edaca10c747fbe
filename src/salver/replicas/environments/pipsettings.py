"""How packages are looked for: the server's settings, else uv's variables, else what pip is told. Pure.

uv does not read pip's settings, and people have set up pip.
"""

from __future__ import annotations

import configparser
from collections.abc import Iterable, Mapping

from salver.replicas.environments.base import EnvironmentSettings

PASSED = (
    *("PATH", "LANG", "LC_ALL", "SSL_CERT_FILE", "SSL_CERT_DIR"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "all_proxy", "no_proxy"),
    *("UV_DEFAULT_INDEX", "UV_INDEX", "UV_FIND_LINKS", "UV_INSECURE_HOST", "UV_SYSTEM_CERTS"),
    *("UV_HTTP_TIMEOUT", "UV_CONCURRENT_DOWNLOADS"),
)
"""All that an installer sees of the server's environment: where packages are, and how to get there."""


def pip_config_files(environment: Mapping[str, str], home: str, prefix: str) -> tuple[str, ...]:
    """Where pip reads its settings, the later ones overriding the earlier ones."""
    chosen = environment.get("PIP_CONFIG_FILE", "")
    if chosen == "/dev/null":
        return ()
    system = [
        f"{folder}/pip/pip.conf" for folder in environment.get("XDG_CONFIG_DIRS", "/etc/xdg").split(":") if folder
    ]
    user = environment.get("XDG_CONFIG_HOME") or f"{home}/.config"
    files = (*reversed(system), "/etc/pip.conf", f"{home}/.pip/pip.conf", f"{user}/pip/pip.conf", f"{prefix}/pip.conf")
    return (*files, chosen) if chosen else files


def pip_settings(files: Iterable[str], environment: Mapping[str, str]) -> dict[str, str]:
    """What pip would take for `install`, from the texts of its files in order and its variables."""
    found: dict[str, str] = {}
    for text in files:
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(text)
        except configparser.Error:
            continue  # pip itself would say so
        for section in ("global", "install"):
            if parser.has_section(section):
                found |= {key.replace("_", "-"): " ".join(value.split()) for key, value in parser.items(section)}
    for name, value in environment.items():
        if name.startswith("PIP_"):
            found[name[4:].lower().replace("_", "-")] = value
    return found


def uv_variables(
    settings: EnvironmentSettings, environment: Mapping[str, str], pip: Mapping[str, str]
) -> dict[str, str]:
    """The variables that an installer runs with, but for its own folders."""
    mapped = {
        "UV_DEFAULT_INDEX": settings.package_index or environment.get("UV_DEFAULT_INDEX") or pip.get("index-url", ""),
        "UV_INDEX": " ".join(settings.extra_package_indexes)
        or environment.get("UV_INDEX")
        or pip.get("extra-index-url", ""),
        "UV_CONSTRAINT": environment.get("UV_CONSTRAINT") or pip.get("constraint", ""),
        "UV_INDEX_STRATEGY": environment.get("UV_INDEX_STRATEGY") or _strategy(settings, environment, pip),
        "UV_FIND_LINKS": environment.get("UV_FIND_LINKS") or ",".join(pip.get("find-links", "").split()),
        "UV_INSECURE_HOST": environment.get("UV_INSECURE_HOST") or pip.get("trusted-host", ""),
        "SSL_CERT_FILE": environment.get("SSL_CERT_FILE") or pip.get("cert", ""),
    }
    if settings.offline:
        mapped["UV_OFFLINE"] = "1"
    if settings.offline and settings.wheels_dir:
        mapped |= {"UV_DEFAULT_INDEX": "", "UV_INDEX": "", "UV_FIND_LINKS": "", "UV_NO_INDEX": "1"}
    elif pip.get("no-index", "").lower() in ("1", "true", "yes", "on"):
        mapped["UV_NO_INDEX"] = "1"
    if settings.wheels_dir:
        mapped["UV_FIND_LINKS"] = ",".join(filter(None, (settings.wheels_dir, mapped["UV_FIND_LINKS"])))
    passed = {name: environment[name] for name in PASSED if name in environment and name not in mapped}
    fixed = {
        "UV_NO_CONFIG": "1",
        "UV_NO_PROGRESS": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_KEYRING_PROVIDER": "disabled",
        "UV_LINK_MODE": "hardlink",
        "NO_COLOR": "1",
    }
    return {"UV_SYSTEM_CERTS": "true", **passed, **{name: value for name, value in mapped.items() if value}, **fixed}


def _strategy(settings: EnvironmentSettings, environment: Mapping[str, str], pip: Mapping[str, str]) -> str:
    """Indexes that pip was given are equals, as pip has them; of others the first that knows a package gives it."""
    is_of_pip = not settings.extra_package_indexes and not environment.get("UV_INDEX")
    return "unsafe-best-match" if is_of_pip and pip.get("extra-index-url") else ""
