import pytest

from salver.errors import StartupError
from salver.settings import read_settings_file


def test_the_file_of_the_current_directory_is_read(tmp_path):
    (tmp_path / "salver.toml").write_text("[net]\nport = 9000\n")
    read = read_settings_file(None, tmp_path)
    assert read.values == {"net": {"port": 9000}}
    assert read.where("net", "port") == "salver.toml line 2"


def test_without_a_file_there_is_nothing(tmp_path):
    assert read_settings_file(None, tmp_path).values == {}


def test_a_named_file_is_called_by_the_name_it_was_given(tmp_path):
    path = tmp_path / "other.toml"
    path.write_text("[net]\n")
    assert read_settings_file(path, tmp_path).where("net") == f"{path} line 1"


def test_a_named_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StartupError, match="There is no settings file"):
        read_settings_file(tmp_path / "missing.toml", tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"[net]\nport = = 1", "is not valid TOML: .*line 2"), (b"\xff\xfe", "it is not UTF-8 text")],
)
def test_a_file_that_makes_no_sense_is_an_error(tmp_path, content, message):
    (tmp_path / "salver.toml").write_bytes(content)
    with pytest.raises(StartupError, match=message):
        read_settings_file(None, tmp_path)


def test_a_folder_in_its_place_is_an_error(tmp_path):
    (tmp_path / "salver.toml").mkdir()
    with pytest.raises(StartupError, match="cannot be read"):
        read_settings_file(None, tmp_path)


def test_a_place_without_a_known_line_is_called_by_the_file(tmp_path):
    (tmp_path / "salver.toml").write_text("[net]\n")
    assert read_settings_file(None, tmp_path).where("serving") == "salver.toml"
