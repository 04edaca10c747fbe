import msgspec
import pytest

from salver.settings import Settings, catalogue, setting_named
from salver.settings.catalogue import field_docs, group_summaries


def test_a_setting_has_one_owner():
    names = [setting.name for setting in catalogue()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("setting", catalogue(), ids=lambda setting: setting.name)
def test_every_setting_says_what_it_does_and_what_it_takes(setting):
    assert setting.doc.endswith(".")
    assert setting.expected


def test_flag_variable_and_file_key_follow_from_the_field():
    setting = setting_named("max_body_mb")
    assert setting is not None
    assert (setting.flag, setting.variable, setting.file_key) == (
        "--max-body-mb",
        "SALVER_MAX_BODY_MB",
        "[net] max_body_mb",
    )


def test_the_catalogue_has_every_field_of_every_group():
    fields = {field.name for group in msgspec.structs.fields(Settings) for field in msgspec.structs.fields(group.type)}
    assert {setting.name for setting in catalogue()} == fields


def test_an_unknown_name_has_no_setting():
    assert setting_named("colour") is None


def test_defaults_of_the_catalogue_are_those_of_the_groups():
    settings = Settings()
    assert all(getattr(getattr(settings, row.group), row.name) == row.default for row in catalogue())


def test_every_group_has_a_summary():
    assert list(group_summaries()) == [field.name for field in msgspec.structs.fields(Settings)]
    assert all(group_summaries().values())


class Described(msgspec.Struct):
    first: int = 1
    """What the first
    one does."""
    second: int = 2

    def method(self) -> None:
        """Not a field."""


def test_docs_stand_under_their_field_and_come_on_one_line():
    assert field_docs(Described) == {"first": "What the first one does."}
