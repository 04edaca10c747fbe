"""Errors that cross from a model's side to the caller."""


class InputError(ValueError):
    """The caller's input is wrong; the message is safe to show."""
