"""Folders of Hugging Face's transformers: config.json names the model, and the weights lie beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import msgspec

from salver.models.recognising.base import Recognition

CONFIG = "config.json"
MAX_BYTES = 4 * 1024 * 1024
SAFE = ("model.safetensors", "model.safetensors.index.json")
PICKLED = ("pytorch_model.bin", "pytorch_model.bin.index.json")
CONFIGS = (CONFIG, "tokenizer_config.json", "processor_config.json", "preprocessor_config.json")
"""The files that may name classes of the model's own."""


def recognise_transformers(folder: Path) -> Recognition | None:
    config = _document(folder / CONFIG)
    if not isinstance(config.get("model_type"), str) and not isinstance(config.get("architectures"), list):
        return None
    weights = next((name for name in (*SAFE, *PICKLED) if (folder / name).is_file()), None)
    if weights is None:
        return None
    kind = next((name for name in config.get("architectures") or () if isinstance(name, str)), config.get("model_type"))
    is_data = weights in SAFE and not any("auto_map" in _document(folder / name) for name in CONFIGS)
    trust: Literal["data", "code"] = "data" if is_data else "code"
    return Recognition(runtime="transformers", artifact=folder, trust=trust, label=f"Hugging Face model ({kind})")


def _document(path: Path) -> dict[str, Any]:
    """Empty for what is not there, or is no table."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(MAX_BYTES), type=dict[str, Any])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
