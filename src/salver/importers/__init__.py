"""Other servers' set-ups, read once and written as ours: `salver import`."""
