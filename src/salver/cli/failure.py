"""What a command says when it cannot go on."""

from __future__ import annotations


class CommandFailed(Exception):
    """A cause and a fix, for the two lines on standard error; the exit code is 1."""

    def __init__(self, message: str, fix: str) -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
