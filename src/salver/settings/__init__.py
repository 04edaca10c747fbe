"""Each setting is declared once, in the group of the package that uses it; flag, variable, file key and doc follow."""

from salver.settings.catalogue import Setting, Settings, catalogue, setting_named
from salver.settings.file import SettingsFile, read_settings_file
from salver.settings.resolution import Origin, Resolution, Source, resolve

__all__ = [
    "Origin",
    "Resolution",
    "Setting",
    "Settings",
    "SettingsFile",
    "Source",
    "catalogue",
    "read_settings_file",
    "resolve",
    "setting_named",
]
