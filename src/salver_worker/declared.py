"""What another server's file declares of a model, held against the model itself.

``declared`` of a LOAD frame's manifest has `file` (what messages call it), `inputs` and `outputs` (name, datatype or
None, shape without rows), `has_rows` (whether a first dimension counts rows and is left out of the shapes; None: as the
model is) and `rename` (an output's name here to the one that callers know).
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Sequence

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import Model, Signature, signature, tensor

FIX = "Correct the file, or give the model that it was written for."


def renaming(declared: Mapping[str, Any], model: Signature) -> List[Dict[str, Any]]:
    """The sections of model.toml that give the model's outputs the names that its callers know."""
    names = declared.get("rename") or {}
    if not any(row["name"] in names for row in model["outputs"]):
        return []
    rows = [row["name"] for row in model["outputs"]]
    return [{"reads": name, "name": names.get(name, name), "convert": []} for name in rows]


def hold_to(declared: Mapping[str, Any], model: Model) -> None:
    """Give the model the declared dimensions where it leaves its own free. Raises LoadFailure where they differ."""
    file, has_rows = declared.get("file", ""), declared.get("has_rows")
    if has_rows and not model.has_batch_dimension:
        text = "%s wants batches; the model's tensors have no first dimension for rows" % file
        raise LoadFailure(text, code="MANIFEST_INVALID", fix=FIX)
    if has_rows is False:
        model.has_batch_dimension = False
    inputs, outputs = (_narrowed(declared, model.signature, key, file, has_rows) for key in ("inputs", "outputs"))
    model.signature = {**model.signature, **signature(inputs, outputs)}


def _narrowed(
    declared: Mapping[str, Any], model: Signature, key: str, file: str, has_rows: Optional[bool]
) -> Sequence[Dict[str, Any]]:
    rows: Sequence[Dict[str, Any]] = model[key]
    wanted = {row["name"]: row for row in declared.get(key) or ()}
    if not wanted:
        return rows
    have = [row["name"] for row in rows]
    strange = [name for name in wanted if name not in have]
    missing = [name for name in have if name not in wanted] if key == "inputs" else []
    role = key[:-1]
    if strange:
        text = "%s declares the %s %s; the model has %s" % (file, role, strange[0], ", ".join(have) or "none")
        raise LoadFailure(text, code="MANIFEST_INVALID", fix=FIX)
    if missing:
        text = "%s does not declare the input %s, which the model needs" % (file, missing[0])
        raise LoadFailure(text, code="MANIFEST_INVALID", fix=FIX)
    return [_fitted(row, wanted[row["name"]], role, file, has_rows) if row["name"] in wanted else row for row in rows]


def _fitted(
    row: Dict[str, Any], wanted: Mapping[str, Any], role: str, file: str, has_rows: Optional[bool]
) -> Dict[str, Any]:
    shape = list(wanted["shape"])
    is_without_rows = has_rows is None and len(shape) + 1 == len(row["shape"]) and row["shape"][:1] == [-1]
    if has_rows or is_without_rows:
        shape = [-1, *shape]
    datatype = wanted["datatype"] or row["datatype"]
    is_alike = datatype == row["datatype"] and len(shape) == len(row["shape"])
    if not is_alike or not all(-1 in pair or pair[0] == pair[1] for pair in zip(shape, row["shape"])):
        text = "%s declares the %s %s as %s %s; the model has %s %s" % (
            file, role, row["name"], datatype, shape, row["datatype"], row["shape"],
        )  # fmt: skip
        raise LoadFailure(text, code="MANIFEST_INVALID", fix=FIX)
    dims = [mine if theirs == -1 else theirs for mine, theirs in zip(row["shape"], shape)]
    return tensor(row["name"], row["datatype"], dims, row.get("columns", ()))
