"""A model that is a Python function: how long a parcel travels, and what that costs.

The parameters have Python's own types, so the function is called once for each row. An InputError tells the caller what
is wrong with the input; the text of any other exception stays in the model's log.
"""

from __future__ import annotations

from typing import NamedTuple

from salver_worker import InputError

MAX_WEIGHT_KG = 30.0
HOURS_BY_ZONE = {"city": 4.0, "country": 24.0, "abroad": 72.0}


class Quote(NamedTuple):
    hours: float
    price: float


def predict(zone: str, weight_kg: float) -> Quote:
    if zone not in HOURS_BY_ZONE:
        raise InputError(f"zone must be one of {', '.join(HOURS_BY_ZONE)}")
    if not 0 < weight_kg <= MAX_WEIGHT_KG:
        raise InputError(f"weight_kg must be above 0 and at most {MAX_WEIGHT_KG:g}")
    hours = HOURS_BY_ZONE[zone]
    return Quote(hours=hours, price=round(2.5 + 0.05 * hours + 0.8 * weight_kg, 2))
