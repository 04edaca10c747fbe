"""The part of Salver that runs beside a model: standard library and NumPy only, never imports ``salver``."""

from salver_worker.errors import InputError as InputError
