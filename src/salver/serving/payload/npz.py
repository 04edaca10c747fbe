"""Several arrays in NumPy's .npz format: a zip of .npy files, one for each input. Nothing is ever unpickled."""

from __future__ import annotations

import zipfile
import zlib
from io import BytesIO
from typing import Any

from salver.errors import Code, RequestError
from salver.serving.payload.columns import check_names
from salver.serving.payload.npy import npy_to_tensor
from salver.serving.payload.policy import Policy
from salver.types import Signature, Tensor

MAX_MEMBERS = 1000
SUFFIX = ".npy"
METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""What numpy.savez and numpy.savez_compressed write."""
FIX = "Send what numpy.savez writes, with one array for each input, by its name."
ENCRYPTED = 0x1


def npz_to_inputs(raw: bytes, signature: Signature, policy: Policy) -> dict[str, Tensor]:
    """All inputs of a signature. Raises RequestError(INVALID_INPUT | PAYLOAD_TOO_LARGE)."""
    arrays = npz_members(raw, policy.max_bytes)
    if len(signature.inputs) == 1 and len(arrays) == 1:
        arrays = {signature.inputs[0].name: next(iter(arrays.values()))}
    check_names(arrays, [spec.name for spec in signature.inputs], "inputs")
    return {spec.name: npy_to_tensor(arrays[spec.name], spec, policy) for spec in signature.inputs}


def npz_members(raw: bytes, max_bytes: int) -> dict[str, bytes]:
    """The .npy files by their names. What they unfold to is bounded whatever the zip says of them."""
    members: dict[str, bytes] = {}
    left = max_bytes
    try:
        with zipfile.ZipFile(BytesIO(raw)) as archive:
            entries = archive.infolist()
            if len(entries) > MAX_MEMBERS:
                raise _invalid(f"it has {len(entries)} members")
            for entry in entries:
                data = _member(archive, entry, left)
                left -= len(data)
                members[entry.filename.removesuffix(SUFFIX)] = data
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError) as error:
        raise _invalid("it is not a whole zip of .npy files") from error
    return members


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, left: int) -> bytes:
    if entry.compress_type not in METHODS or entry.flag_bits & ENCRYPTED or not entry.filename.endswith(SUFFIX):
        raise _invalid(f"its member '{entry.filename[:64]}' is not a stored or deflated .npy file")
    with archive.open(entry) as file:
        data: Any = file.read(left + 1)
    if len(data) > left:
        raise RequestError(Code.PAYLOAD_TOO_LARGE, "The .npz is above the limit of --max-body-mb once it is unpacked.")
    return bytes(data)


def _invalid(reason: str) -> RequestError:
    return RequestError(Code.INVALID_INPUT, f"The .npz cannot be read: {reason}.", fix=FIX)
