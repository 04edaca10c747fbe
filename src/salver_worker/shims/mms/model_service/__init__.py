"""The base classes of services of MMS 0.4."""
