"""MMS's package of the same name."""
