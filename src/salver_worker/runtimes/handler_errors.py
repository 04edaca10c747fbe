"""The exception by which a handler chooses the status of its answer; `shims` gives it its usual names."""


class PredictionException(Exception):
    """The whole batch is answered with this message and status."""

    def __init__(self, message: str, error_code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code

    def __str__(self) -> str:
        return "%s : %s" % (self.message, self.error_code)
