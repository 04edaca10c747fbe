from salver.settings import SettingsFile, catalogue, resolve


def test_a_resolution_tells_the_value_of_each_setting():
    resolved = resolve(SettingsFile(), {"SALVER_PORT": "9"}, {})
    values = {setting.name: resolved.value(setting) for setting in catalogue()}
    assert (values["port"], values["host"]) == (9, "127.0.0.1")
