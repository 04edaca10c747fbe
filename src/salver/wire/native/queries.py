"""What the query of a prediction address says of values that have no one meaning."""

from __future__ import annotations

from salver.errors import Code, RequestError
from salver.serving.payload.policy import DATES, MISSING, Policy
from salver.wire.native.addresses import PredictAddress


def policy_of(address: PredictAddress) -> Policy:
    """Raises RequestError(INVALID_INPUT). MLflow's clients have nulls read as NaN, as pandas reads them."""
    missing = address.missing or ("nan" if address.is_invocations else "refuse")
    if missing not in MISSING:
        raise _invalid("missing", missing, MISSING)
    if address.dates and address.dates not in DATES:
        raise _invalid("dates", address.dates, DATES)
    return Policy(missing_is_nan=missing == "nan", dates=address.dates)


def _invalid(name: str, value: str, allowed: tuple[str, ...]) -> RequestError:
    return RequestError(
        Code.INVALID_INPUT,
        f"?{name}={value[:32]} is none of: {', '.join(allowed)}.",
        fix="Correct it, or leave it out.",
    )
