"""The composition root: settings become parts, parts become a running server. It alone names concrete classes."""
