"""Pip's settings, as uv is told of them."""

from __future__ import annotations

from salver.replicas.environments.base import EnvironmentSettings
from salver.replicas.environments.pipsettings import pip_config_files, pip_settings, uv_variables

PLAIN = EnvironmentSettings()


def variables(settings: EnvironmentSettings = PLAIN, pip: str = "", **environment: str) -> dict[str, str]:
    return uv_variables(settings, environment, pip_settings([pip], environment))


def test_what_pip_was_given_is_handed_on() -> None:
    found = variables(
        pip="[global]\nindex-url = https://one/simple\nextra-index-url =\n  https://two/simple\n  https://three/simple\n"
        "find_links = /opt/wheels /srv/wheels\ntrusted-host = two\ncert = /etc/ca.pem\nconstraint = /etc/bounds.txt\n"
    )
    assert found["UV_DEFAULT_INDEX"] == "https://one/simple"
    assert found["UV_INDEX"] == "https://two/simple https://three/simple"
    assert found["UV_FIND_LINKS"] == "/opt/wheels,/srv/wheels"
    assert found["UV_INSECURE_HOST"] == "two"
    assert found["SSL_CERT_FILE"] == "/etc/ca.pem"
    assert found["UV_CONSTRAINT"] == "/etc/bounds.txt"
    assert found["UV_INDEX_STRATEGY"] == "unsafe-best-match"


def test_a_variable_of_pip_goes_before_its_files_and_install_before_global() -> None:
    text = "[install]\nindex-url = https://install\n[global]\nindex-url = https://global\n"
    assert variables(pip=text)["UV_DEFAULT_INDEX"] == "https://install"
    assert variables(pip=text, PIP_INDEX_URL="https://variable")["UV_DEFAULT_INDEX"] == "https://variable"


def test_uv_s_own_variables_go_before_pip_s_settings_and_the_server_s_before_both() -> None:
    pip, uv = {"PIP_INDEX_URL": "https://pip", "PIP_EXTRA_INDEX_URL": "https://x"}, {"UV_DEFAULT_INDEX": "https://uv"}
    assert variables(**pip, **uv)["UV_DEFAULT_INDEX"] == "https://uv"
    chosen = EnvironmentSettings(package_index="https://ours", extra_package_indexes=("https://a", "https://b"))
    found = variables(chosen, **pip, **uv)
    assert found["UV_DEFAULT_INDEX"] == "https://ours"
    assert found["UV_INDEX"] == "https://a https://b"
    assert "UV_INDEX_STRATEGY" not in found


def test_offline_with_wheels_no_index_is_asked() -> None:
    chosen = EnvironmentSettings(offline=True, wheels_dir="/srv/wheels")
    found = variables(
        chosen, pip="[global]\nindex-url=https://one\nextra-index-url=https://two\nfind-links=https://x\n"
    )
    assert found["UV_FIND_LINKS"] == "/srv/wheels"
    assert found["UV_NO_INDEX"] == found["UV_OFFLINE"] == "1"
    assert not {"UV_DEFAULT_INDEX", "UV_INDEX"} & set(found)


def test_offline_without_wheels_the_same_indexes_are_looked_for_in_the_cache() -> None:
    found = variables(EnvironmentSettings(offline=True), PIP_INDEX_URL="https://one")
    assert found["UV_DEFAULT_INDEX"] == "https://one"
    assert found["UV_OFFLINE"] == "1"
    assert "UV_NO_INDEX" not in found


def test_pip_may_say_that_there_is_no_index() -> None:
    assert variables(PIP_NO_INDEX="1", PIP_FIND_LINKS="/opt/wheels")["UV_NO_INDEX"] == "1"


def test_nothing_else_of_the_server_s_environment_is_seen() -> None:
    found = variables(AWS_SECRET_ACCESS_KEY="s", SALVER_KEY="s", PYTHONPATH="/x", HOME="/root", HTTPS_PROXY="http://p")
    assert "s" not in found.values()
    assert not {"PYTHONPATH", "HOME"} & set(found)
    assert found["HTTPS_PROXY"] == "http://p"
    assert found["UV_PYTHON_DOWNLOADS"] == "never"


def test_a_file_that_pip_could_not_read_is_passed_over() -> None:
    assert pip_settings(["index-url = no section", "[global]\ncert = x\n"], {}) == {"cert": "x"}


def test_files_are_looked_for_where_pip_does() -> None:
    assert pip_config_files({"XDG_CONFIG_DIRS": "/etc/xdg"}, "/u", "/venv") == (
        "/etc/xdg/pip/pip.conf",
        "/etc/pip.conf",
        "/u/.pip/pip.conf",
        "/u/.config/pip/pip.conf",
        "/venv/pip.conf",
    )
    assert pip_config_files({"PIP_CONFIG_FILE": "/x.conf"}, "/u", "/venv")[-1] == "/x.conf"
    assert pip_config_files({"PIP_CONFIG_FILE": "/dev/null"}, "/u", "/venv") == ()
