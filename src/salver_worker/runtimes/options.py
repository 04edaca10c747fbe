"""What a model.toml tells the runtime itself: the keys of its table `[runtime]`, beside the runtime's name."""

from __future__ import annotations

import difflib
from typing import Any, Dict, Mapping, Optional

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.specs import RuntimeSpec

KEY = "runtime"


def check_options(spec: RuntimeSpec, manifest: Mapping[str, Any]) -> None:
    """Raises LoadFailure for an option that the runtime does not have."""
    for name in manifest.get(KEY) or {}:
        if name not in spec.options:
            match = difflib.get_close_matches(name, spec.options, n=1)
            meant = "; did you mean `%s`?" % match[0] if match else ""
            have = ", ".join(spec.options)
            raise LoadFailure(
                "the runtime %s has no option `%s`%s" % (spec.name, name, meant),
                code="MANIFEST_INVALID",
                fix="Its options are %s." % have if have else "It has no options; remove the key.",
                where=[KEY, name],
            )


def option(request: LoadRequest, name: str) -> Any:
    """What is said under `name`; None where nothing is."""
    return (request.manifest.get(KEY) or {}).get(name)


def text_option(request: LoadRequest, name: str) -> Optional[str]:
    value = option(request, name)
    if value is not None and (not isinstance(value, str) or not value):
        raise wrong_option(name, "text")
    return value


def flag_option(request: LoadRequest, name: str) -> bool:
    """False where nothing is said."""
    value = option(request, name)
    if value is not None and not isinstance(value, bool):
        raise wrong_option(name, "true or false")
    return bool(value)


def count_option(request: LoadRequest, name: str, default: int) -> int:
    """A whole number of 1 or more."""
    value = option(request, name)
    if value is None:
        return default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise wrong_option(name, "a whole number of 1 or more")
    return value


def table_option(request: LoadRequest, name: str) -> Dict[str, Any]:
    """Empty where nothing is said."""
    value = option(request, name)
    if value is not None and not isinstance(value, dict):
        raise wrong_option(name, "a table")
    return dict(value or {})


def wrong_option(name: str, wanted: str) -> LoadFailure:
    return LoadFailure(
        "`runtime.%s` must be %s" % (name, wanted),
        code="MANIFEST_INVALID",
        fix="Correct it in model.toml.",
        where=[KEY, name],
    )
