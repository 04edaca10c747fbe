"""The manifest's conversions: what callers send becomes what the model takes, and what it gives becomes the answer."""
