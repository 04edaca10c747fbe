import pytest

from salver.errors import Code, StartupError
from salver.settings import SettingsFile, Source, resolve
from salver.settings.file import parse_settings_file


def file(text: str) -> SettingsFile:
    return parse_settings_file(text, "salver.toml")


def refusal(text: str = "", environment=None, flags=None) -> StartupError:
    with pytest.raises(StartupError) as caught:
        resolve(file(text), environment or {}, flags or {})
    assert caught.value.code is Code.SETTINGS_INVALID
    return caught.value


def origin(text: str, environment, flags, name: str) -> tuple[object, str]:
    resolved = resolve(file(text), environment, flags)
    return resolved.origins[name].source, resolved.origins[name].where


def test_without_sources_every_value_is_the_default():
    resolved = resolve(SettingsFile(), {}, {})
    assert resolved.settings.net.port == 8080
    assert {found.source for found in resolved.origins.values()} == {Source.DEFAULT}
    assert resolved.warnings == ()


@pytest.mark.parametrize(
    ("text", "environment", "flags", "port", "where"),
    [
        ("[net]\nport = 1", {}, {}, 1, (Source.FILE, "salver.toml line 2")),
        ("[net]\nport = 1", {"SALVER_PORT": "2"}, {}, 2, (Source.VARIABLE, "SALVER_PORT")),
        ("[net]\nport = 1", {"SALVER_PORT": "2"}, {"port": "3"}, 3, (Source.FLAG, "--port")),
        ("", {"SALVER_PORT": ""}, {}, 8080, (Source.DEFAULT, "default")),
    ],
)
def test_flags_win_over_variables_over_the_file_over_the_default(text, environment, flags, port, where):
    assert resolve(file(text), environment, flags).settings.net.port == port
    assert origin(text, environment, flags, "port") == where


def test_each_source_spells_lists_and_switches_its_own_way():
    resolved = resolve(
        file('[net]\nallowed_hosts = ["a", "b"]'),
        {"SALVER_COMPAT": "mms, tfserving"},
        {"insecure": True},
    )
    assert resolved.settings.net.allowed_hosts == ("a", "b")
    assert resolved.settings.net.compat == ("mms", "tfserving")
    assert resolved.settings.net.insecure is True
    assert resolve(file(""), {}, {"compat": ("mms", "tfserving")}).settings.net.compat == ("mms", "tfserving")


def test_values_land_in_the_group_that_declares_them():
    settings = resolve(file("[replicas]\nthreads = 4\n[processes]\nprocesses = 2"), {}, {}).settings
    assert (settings.replicas.threads, settings.processes.processes) == (4, 2)


def test_a_wrong_value_in_the_file_is_named_with_its_line_and_what_is_expected():
    error = refusal('[net]\nhost = "localhost"\nport = "9000"')
    assert error.message == "salver.toml line 3: port must be a whole number from 0 to 65535, not '9000'."
    assert "The default is 8080." in error.fix


def test_a_wrong_variable_and_a_wrong_flag_are_named():
    assert refusal(environment={"SALVER_PORT": "web"}).message.startswith("SALVER_PORT: port must be a whole number")
    assert refusal(flags={"deadline_s": "-1"}).message.startswith("--deadline-s: deadline_s must be a number above 0")
    assert "not 'grpc'" in refusal(flags={"compat": ("grpc",)}).message


def test_a_mistake_is_told_even_when_another_source_wins():
    assert refusal("[net]\nport = 70000", flags={"port": "1"}).message.startswith("salver.toml line 2")


def test_an_unknown_key_is_refused_with_the_closest_name():
    error = refusal("[net]\nprot = 1")
    assert error.message == "salver.toml line 2: [net] has no setting 'prot'."
    assert error.fix == "Did you mean port?"


def test_a_key_under_the_wrong_table_is_told_where_it_belongs():
    assert refusal("[net]\nthreads = 1").fix == "It belongs under [replicas]."
    assert refusal("threads = 1").fix == "It belongs under [replicas]."


def test_an_unknown_table_is_refused_with_the_known_ones():
    tables = "access environments models net openinference processes replicas serving telemetry tfserving torchserve"
    known = ", ".join(tables.split())
    assert refusal("[colours]").fix == f"Known are: {known}."


def test_a_value_where_a_table_should_be_is_refused():
    assert refusal("net = 1").message == "salver.toml line 1: net is a table of settings, not a value."


def test_an_unknown_variable_is_a_warning_since_another_program_may_own_it():
    resolved = resolve(SettingsFile(), {"SALVER_PROT": "1", "SALVER_XYZZY_QUUX": "1"}, {})
    assert resolved.warnings == (
        "SALVER_PROT is set, and no setting has that name. Did you mean SALVER_PORT?",
        "SALVER_XYZZY_QUUX is set, and no setting has that name.",
    )


def test_variables_of_the_commands_and_of_the_tests_are_known():
    environment = {"SALVER_URL": "u", "SALVER_KEY": "k", "SALVER_TEST_DATA": "d", "HOME": "h", "SALVER_PORT": "1"}
    assert resolve(SettingsFile(), environment, {}).warnings == ()
