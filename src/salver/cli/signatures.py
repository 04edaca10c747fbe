"""Signatures as a line of text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from salver.types import DEFAULT_SIGNATURE


class Tensor(Protocol):
    """A named input or output, as the server or the client describes it."""

    @property
    def name(self) -> str: ...
    @property
    def datatype(self) -> str: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class Signature(Protocol):
    """What a model takes and gives, as the server or the client describes it."""

    @property
    def inputs(self) -> Sequence[Tensor]: ...
    @property
    def outputs(self) -> Sequence[Tensor]: ...


def signature_text(signature: Signature, name: str = DEFAULT_SIGNATURE) -> str:
    """`image BYTES [n] → classes BYTES [n, 5]`; a free dimension is n, an unknown rank `...`.

    A name is told unless it is the default one.
    """
    text = f"{_tensors(signature.inputs)} → {_tensors(signature.outputs)}"
    return text if name == DEFAULT_SIGNATURE else f"{name}: {text}"


def _tensors(specs: Sequence[Tensor]) -> str:
    return ", ".join(map(tensor_text, specs)) or "anything"


def tensor_text(spec: Tensor) -> str:
    has_rank = getattr(spec, "has_rank", True)  # clients know no such word
    shape = ", ".join("n" if size < 0 else str(size) for size in spec.shape) if has_rank else "..."
    return f"{spec.name} {spec.datatype} [{shape}]"
