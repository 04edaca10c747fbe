"""Pages that are made from the code are current, and what the code declares is documented."""

from salver.settings import catalogue
from salver.settings.page import settings_page


def test_the_page_of_the_settings_is_current(root):
    assert (root / "docs" / "settings.md").read_text() == settings_page(), "run scripts/docs"


def test_every_setting_has_its_row():
    page = settings_page()
    rows = [setting.name for setting in catalogue() if f"| `{setting.name}`<br>`{setting.flag}`" not in page]
    assert rows == []
