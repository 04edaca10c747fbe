"""The names that handlers import from MXNet Model Server."""
