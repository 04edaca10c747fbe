"""Outputs as an .npz file: one array for each."""

from __future__ import annotations

import zipfile
from io import BytesIO

import numpy as np

from salver.types import Array


def npy_bytes(array: Array) -> bytes:
    file = BytesIO()
    np.lib.format.write_array(file, array, version=(1, 0), allow_pickle=False)
    return file.getvalue()


def npz_answer(outputs: dict[str, Array]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in outputs.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy_bytes(array))
    return file.getvalue()
