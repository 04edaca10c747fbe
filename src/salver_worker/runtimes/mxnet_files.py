"""Which files are one model of MXNet."""

from __future__ import annotations

import os
import re
from typing import List, Optional

SYMBOL_ENDING = "-symbol.json"
_EPOCH = re.compile(r"-(\d{4,})\.params")


def parameters_of(symbol: str) -> Optional[str]:
    """The path of a symbol's parameters: of its name, the highest epoch; else the only ones beside it; None: none."""
    folder, file = os.path.split(symbol)
    name = file[: -len(SYMBOL_ENDING)] if file.endswith(SYMBOL_ENDING) else os.path.splitext(file)[0]
    every = sorted(each for each in os.listdir(folder or ".") if each.endswith(".params"))
    own = [each for each in every if each == name + ".params" or _epoch(each, name) >= 0]
    chosen = max(own, key=lambda each: _epoch(each, name)) if own else _only(every)
    return None if chosen is None else os.path.join(folder, chosen)


def signature_of(symbol: str) -> Optional[str]:
    """The path of the signature that MXNet Model Server keeps beside a symbol; None where there is none."""
    folder, file = os.path.split(symbol)
    name = file[: -len(SYMBOL_ENDING)] if file.endswith(SYMBOL_ENDING) else os.path.splitext(file)[0]
    paths = [os.path.join(folder, each) for each in (name + "-signature.json", "signature.json")]
    return next((path for path in paths if os.path.isfile(path)), None)


def _epoch(file: str, name: str) -> int:
    """-1 where it is another model's, or has no number."""
    found = _EPOCH.fullmatch(file[len(name) :]) if file.startswith(name) else None
    return int(found.group(1)) if found else -1


def _only(names: List[str]) -> Optional[str]:
    return names[0] if len(names) == 1 else None
