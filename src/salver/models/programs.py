"""Programs of a model's own, which its model.toml names under `command`."""

from __future__ import annotations

from pathlib import Path

from salver.models.sources import ModelSource


def program_path(program: str, *folders: Path) -> Path:
    """Where a program of the model's folder lies: the first folder that has it, else where it was to be."""
    places = [folder / program for folder in folders]
    return next((path for path in places if path.is_file()), places[0])


def command_of(source: ModelSource) -> tuple[str, ...]:
    """The command as it is started: a program of the model's folder by its absolute path, another by its name."""
    command = source.manifest.command
    if not command or "/" not in command[0]:
        return command
    artifact = source.recognition.artifact
    home = artifact if artifact.is_dir() else artifact.parent
    return (str(program_path(command[0], home, source.folder)), *command[1:])
