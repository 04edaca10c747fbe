"""Every error that Salver shows, free of any transport.

    SalverError
    ├── RequestError      what a caller hears about one request
    ├── LoadError         why a version could not go live
    ├── StartupError      why a command or the server cannot start (settings, ports, data directory, state)
    └── (a Code names the case; a wire's own table turns a Code into its status)

Each error has a code of the closed set below, a message that names the cause in words a caller may read, and, where one
is known, a fix. What must not reach a caller (an exception's text, a traceback, a path) goes to `log_detail`.
"""

from __future__ import annotations

import enum


class Code(enum.Enum):
    """The closed set of cases. The value is the name in APIs, logs and metrics; `fix` is the general advice."""

    INVALID_INPUT = "INVALID_INPUT"
    MODEL_NOT_FOUND = "MODEL_NOT_FOUND"
    VERSION_NOT_FOUND = "VERSION_NOT_FOUND"
    LABEL_NOT_FOUND = "LABEL_NOT_FOUND"
    SIGNATURE_NOT_FOUND = "SIGNATURE_NOT_FOUND"
    MODEL_NOT_READY = "MODEL_NOT_READY"
    ROUTE_NOT_FOUND = "ROUTE_NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    PAYLOAD_TOO_LARGE = "PAYLOAD_TOO_LARGE"
    UNSUPPORTED_MEDIA_TYPE = "UNSUPPORTED_MEDIA_TYPE"
    NOT_ACCEPTABLE = "NOT_ACCEPTABLE"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    PERMISSION_DENIED = "PERMISSION_DENIED"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    OVERLOADED = "OVERLOADED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    WORKER_DIED = "WORKER_DIED"
    MODEL_ERROR = "MODEL_ERROR"
    OUTPUT_INVALID = "OUTPUT_INVALID"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    CONFLICT = "CONFLICT"
    LOAD_FAILED = "LOAD_FAILED"
    FORMAT_UNKNOWN = "FORMAT_UNKNOWN"
    MANIFEST_INVALID = "MANIFEST_INVALID"
    EXAMPLE_MISMATCH = "EXAMPLE_MISMATCH"
    ENVIRONMENT_BROKEN = "ENVIRONMENT_BROKEN"
    SETTINGS_INVALID = "SETTINGS_INVALID"
    PORT_TAKEN = "PORT_TAKEN"
    DATA_DIRECTORY_LOCKED = "DATA_DIRECTORY_LOCKED"
    STATE_DAMAGED = "STATE_DAMAGED"
    INTERNAL = "INTERNAL"

    @property
    def fix(self) -> str:
        """What usually mends it; an error may carry a closer one."""
        return FIXES[self]


FIXES: dict[Code, str] = {
    Code.INVALID_INPUT: "Compare the request with the model's signature; its metadata call shows it.",
    Code.MODEL_NOT_FOUND: "Check the spelling; `salver models` lists what is served.",
    Code.VERSION_NOT_FOUND: "Leave the version out to use the default, or pick one from `salver models`.",
    Code.LABEL_NOT_FOUND: "Use a label that is set, or name the version.",
    Code.SIGNATURE_NOT_FOUND: "Leave the signature's name out, or pick one from the model's metadata.",
    Code.MODEL_NOT_READY: "Wait until the readiness call says true, or look at the model's state and its reason.",
    Code.ROUTE_NOT_FOUND: "Check the path; `/` lists the addresses that this port answers.",
    Code.METHOD_NOT_ALLOWED: "Use the method that the Allow header names.",
    Code.PAYLOAD_TOO_LARGE: "Send less at once, or raise the limit that the message names.",
    Code.UNSUPPORTED_MEDIA_TYPE: "Send one of the content types that the message lists.",
    Code.NOT_ACCEPTABLE: "Send `Accept: application/json`, which every model can answer.",
    Code.UNAUTHENTICATED: "Send `Authorization: Bearer <key>`; `salver keys create` makes a key.",
    Code.PERMISSION_DENIED: "Ask for a key whose role has the permission that the message names.",
    Code.QUOTA_EXCEEDED: "Slow down, or ask for a higher limit on this key.",
    Code.OVERLOADED: "Retry after the time in Retry-After, add replicas, or send less.",
    Code.SHUTTING_DOWN: "Send the request to another server.",
    Code.DEADLINE_EXCEEDED: "Allow more time, send fewer rows, or add replicas.",
    Code.CANCELLED: "The caller hung up, or did not read what was sent; nothing to mend here.",
    Code.WORKER_DIED: "Retry; if it happens again, the model's log names what killed its process.",
    Code.MODEL_ERROR: "The model's own code failed; its log has the exception under this request's id.",
    Code.OUTPUT_INVALID: "The model must return what its signature says, one row for each row sent.",
    Code.OUT_OF_MEMORY: "Send fewer rows at once, or give the model's process more memory.",
    Code.CONFLICT: "Look at the current state, then repeat with it in mind.",
    Code.LOAD_FAILED: "The reason is the exception of the model's own load; mend the artefact or its environment.",
    Code.FORMAT_UNKNOWN: "Give a file or folder of a known format, or name the runtime in model.toml.",
    Code.MANIFEST_INVALID: "Correct the line of model.toml that the message names.",
    Code.EXAMPLE_MISMATCH: "Correct the model, or the expected answer in model.toml.",
    Code.ENVIRONMENT_BROKEN: "Install what is missing into the interpreter that the message names.",
    Code.SETTINGS_INVALID: "Correct the setting; `salver config` shows each value and where it came from.",
    Code.PORT_TAKEN: "Stop the other program, or choose another port with the flag that the message names.",
    Code.DATA_DIRECTORY_LOCKED: "Stop the other server, or choose another data directory with --data-dir.",
    Code.STATE_DAMAGED: "Restore a backup with `salver state restore`, or start with an empty data directory.",
    Code.INTERNAL: "This is a fault of Salver; please report it with the request id.",
}


class SalverError(Exception):
    """The root: a code, a message for the reader, a fix, and detail for the log alone."""

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        fix: str | None = None,
        retry_after_s: float | None = None,
        log_detail: str = "",
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.fix = code.fix if fix is None else fix
        self.retry_after_s = retry_after_s
        self.log_detail = log_detail

    def __str__(self) -> str:
        return f"{self.message} [{self.code.value}] {self.fix}"


class RequestError(SalverError):
    """What a caller hears about one request.

    `status` is a number that a model's own code asked for (MMS handlers may); a wire uses it where its protocol does.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        fix: str | None = None,
        retry_after_s: float | None = None,
        log_detail: str = "",
        status: int | None = None,
    ) -> None:
        super().__init__(code, message, fix=fix, retry_after_s=retry_after_s, log_detail=log_detail)
        self.status = status


class LoadError(SalverError):
    """Why a version could not go live; kept as the version's reason until it is tried again."""


class StartupError(SalverError):
    """Why a command or the server cannot start."""
