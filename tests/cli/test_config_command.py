import json


def rows(ran) -> dict[str, dict[str, object]]:
    return {row["name"]: row for row in json.loads(ran.out)}


def test_every_value_comes_with_where_it_came_from(run, tmp_path, monkeypatch):
    (tmp_path / "salver.toml").write_text("[net]\nmax_headers = 50\n")
    monkeypatch.setenv("SALVER_DEADLINE_S", "5")
    found = rows(run("config", "--port", "9000", "--json"))
    assert {
        name: (found[name]["value"], found[name]["where"]) for name in ("port", "deadline_s", "max_headers", "host")
    } == {
        "port": (9000, "--port"),
        "deadline_s": (5.0, "SALVER_DEADLINE_S"),
        "max_headers": (50, "salver.toml line 2"),
        "host": ("127.0.0.1", "default"),
    }


def test_another_file_can_be_named(run, tmp_path):
    (tmp_path / "other.toml").write_text("[net]\nport = 1\n")
    assert rows(run("config", "--config", "other.toml", "--json"))["port"]["where"] == "other.toml line 2"


def test_the_table_is_plain_text_when_it_goes_into_a_pipe(run):
    ran = run("config", "--compat", "mms", "--compat", "tfserving", "--insecure")
    lines = [line.split() for line in ran.out.splitlines()]
    assert ["SETTING", "VALUE", "FROM"] in lines
    assert ["compat", "mms,tfserving", "--compat"] in lines
    assert ["insecure", "true", "--insecure"] in lines
    assert "\x1b" not in ran.out


def test_a_mistake_in_the_file_stops_it_with_the_line(run, tmp_path):
    (tmp_path / "salver.toml").write_text("[net]\nport = 1\nprot = 2\n")
    ran = run("config")
    assert (ran.code, ran.err.splitlines()[0]) == (2, "error: salver.toml line 3: [net] has no setting 'prot'.")


def test_an_unknown_variable_is_a_warning(run, monkeypatch):
    monkeypatch.setenv("SALVER_PROT", "1")
    ran = run("config")
    assert ran.code == 0
    assert "warning: SALVER_PROT is set" in ran.err
