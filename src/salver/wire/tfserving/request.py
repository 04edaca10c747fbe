"""A decoded request of this protocol: it remembers which form it came in, because the answer takes the same."""

from __future__ import annotations

from collections.abc import Sequence

from salver.serving.payload import batch_group
from salver.types import InferRequest, Signature, Tensor, VersionInfo, shape_matches
from salver.wire.tfserving.errors import invalid


class TfRequest(InferRequest, gc=False):
    """`is_row`: it came as `instances` and is answered with `predictions`; otherwise `inputs` and `outputs`."""

    is_row: bool = True


def tensors_request(
    version: VersionInfo, signature_name: str, signature: Signature, tensors: dict[str, Tensor], *, is_row: bool
) -> TfRequest:
    """The request of these inputs, once they fit what the signature declares. Raises RequestError(INVALID_INPUT)."""
    inputs: dict[str, Tensor] = {}
    for spec in signature.inputs:
        tensor = tensors[spec.name] if not spec.has_rank else fitted(tensors[spec.name], spec.shape)
        if tensor is None:
            got, declared = shape_text(tensors[spec.name].shape), shape_text(spec.shape)
            raise invalid(f"Input {spec.name!r} has the shape {got}, the signature declares {declared}.")
        inputs[spec.name] = tensor
    rows = count_rows(inputs) if version.batches(signature_name) else 1
    group = object() if signature_name in version.unbatched else batch_group(signature_name, inputs)
    return TfRequest(version, signature_name, inputs, None, rows, group, is_row=is_row)


def fitted(tensor: Tensor, declared: Sequence[int]) -> Tensor | None:
    """The tensor in the declared shape, or None when it is of another.

    One value per row fits a declared ``[n, 1]`` too: clients of TensorFlow models send either.
    """
    shape = tensor.shape
    if shape_matches(declared, shape):
        return tensor
    if len(shape) == 1 and len(declared) == 2 and declared[1] == 1 and declared[0] in (-1, shape[0]):
        data = tensor.data if tensor.datatype == "BYTES" else [[value] for value in tensor.data]
        return Tensor(tensor.datatype, (*shape, 1), data)
    return None


def count_rows(inputs: dict[str, Tensor]) -> int:
    """The rows that all inputs have. Raises RequestError(INVALID_INPUT) when they differ or there are none."""
    counts = {name: tensor.shape[0] if tensor.shape else 1 for name, tensor in inputs.items()}
    if len(set(counts.values())) > 1:
        listed = ", ".join(f"{name!r}: {rows}" for name, rows in counts.items())
        raise invalid(f"All inputs must have the same number of rows, but got {listed}.")
    rows = next(iter(counts.values()))
    if not rows:
        raise invalid("A request must have at least one row.")
    return rows


def shape_text(shape: tuple[int, ...]) -> str:
    """A shape as the original writes it: [-1,4]."""
    return "[" + ",".join(map(str, shape)) + "]"
