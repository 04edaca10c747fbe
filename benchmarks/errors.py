"""What keeps the benchmark from measuring."""


class MeasureError(Exception):
    """A server did not start, or the load generator failed; the message says what it printed."""
