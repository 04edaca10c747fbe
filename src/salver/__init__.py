"""Salver: a model server. The public names are the command ``salver`` and the package ``salver_client``."""

__version__ = "0.1.0"
