"""Which kind of PyTorch file one is, by its content. Nothing of it is opened."""

from __future__ import annotations

import pickletools
import zipfile
from typing import IO, Iterable, List, Set

from salver_worker.failures import LoadFailure

SCRIPT = "TorchScript"
EXPORT = "torch.export"
WEIGHTS = "weights"
PICKLED = "pickled module"
MAX_PICKLE_BYTES = 64 * 1024 * 1024
PLAIN = ("torch", "torch._utils", "torch.serialization", "collections", "torch._tensor", "torch.storage")
"""The modules whose names stand in a file that holds nothing but weights and numbers."""


def kind_of(path: str) -> str:
    """Of a file without a zip's form (safetensors, and what old releases saved): weights."""
    if not zipfile.is_zipfile(path):
        return WEIGHTS
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        if is_export(names):
            _refuse_compiled(names)
            return EXPORT
        if is_script(names):
            return SCRIPT
        pickle = next((name for name in names if name.endswith("/data.pkl")), None)
        if pickle is None:
            return WEIGHTS
        with archive.open(pickle) as file:
            return PICKLED if modules_named(file) - set(PLAIN) else WEIGHTS


def is_export(names: Iterable[str]) -> bool:
    """Of release 2.8 and newer, or of those before."""
    return any(name.endswith("/archive_format") or name == "serialized_exported_program.json" for name in names)


def _refuse_compiled(names: Iterable[str]) -> None:
    is_compiled = any("aotinductor" in name for name in names)
    if is_compiled and not any("/models/" in name for name in names):
        raise LoadFailure(
            "the file is compiled for one processor by AOTInductor, and holds no program",
            fix="Save the program itself with `torch.export.save`.",
        )


def is_script(names: Iterable[str]) -> bool:
    return any(name.endswith("/constants.pkl") for name in names)


def modules_named(file: "IO[bytes]") -> Set[str]:
    """The modules of which a pickle names something, as `collections` for an ordered table."""
    found: Set[str] = set()
    texts: List[str] = []
    for opcode, argument, _ in pickletools.genops(file.read(MAX_PICKLE_BYTES)):
        if opcode.name == "GLOBAL":
            found.add(str(argument).partition(" ")[0])
        elif opcode.name == "STACK_GLOBAL":
            found.add(texts[-2] if len(texts) > 1 else "?")
        elif isinstance(argument, str):
            texts.append(argument)
    return found
