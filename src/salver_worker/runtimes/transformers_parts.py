"""What a folder of Hugging Face holds, opened: the model, and what makes numbers of texts, pictures, sounds."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence

from salver_worker.errors import InputError
from salver_worker.failures import LoadFailure
from salver_worker.runtimes.base import LoadRequest
from salver_worker.runtimes.options import flag_option, text_option, wrong_option

if TYPE_CHECKING:
    from salver_worker.arrays import Array

PROCESSOR = "preprocessor_config.json"
DTYPES = ("float32", "float16", "bfloat16")
OFFSET_KINDS = ("roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl", "bertweet")
"""They count positions from behind the padding's, so two of them are no places for tokens."""


class Parts(NamedTuple):
    """`pick` opens the model with one of the library's classes; what a folder does not have is None."""

    torch: Any
    transformers: Any
    request: LoadRequest
    model: Any
    tokenizer: Any
    processor: Any
    device: str

    def pipeline(self, task: str, **more: Any) -> Any:
        """The library's own, around what is open already."""
        return self.transformers.pipeline(task, model=self.model, device=self.device, **more)

    @property
    def batch_size(self) -> int:
        """How many rows go through the model at once; one where texts of different lengths cannot be filled up."""
        return self.request.batch_rows if self.tokenizer is None or self.tokenizer.pad_token is not None else 1


def open_parts(torch: Any, transformers: Any, request: LoadRequest, device: str, class_name: str, reads: str) -> Parts:
    """`reads` is "text", "image" or "audio"."""
    path = request.path
    beside = os.path.join(os.path.dirname(os.path.abspath(path)), "components")  # MLflow's, of all but the weights
    options = {"local_files_only": True, "trust_remote_code": flag_option(request, "trust_remote_code")}
    try:
        words = _place(path, beside, "tokenizer", "tokenizer_config.json")
        is_worded = reads == "text" or os.path.isfile(os.path.join(words, "tokenizer_config.json"))
        tokenizer = transformers.AutoTokenizer.from_pretrained(words, **options) if is_worded else None
        processor = None
        if reads == "image":
            place = _place(path, beside, "image_processor", PROCESSOR)
            processor = transformers.AutoImageProcessor.from_pretrained(place, **options)
        elif reads == "audio":
            place = _place(path, beside, "feature_extractor", PROCESSOR)
            processor = transformers.AutoFeatureExtractor.from_pretrained(place, **options)
        kind = getattr(transformers, class_name)
        model = kind.from_pretrained(path, **options, **_precision(transformers, request), **_weights(path))
    except (OSError, ValueError) as error:
        raise _unopened(error) from error
    model = model.to(device).eval()
    if tokenizer is not None:
        _bound(tokenizer, model)
    return Parts(torch, transformers, request, model, tokenizer, processor, device)


def _place(path: str, beside: str, name: str, file: str) -> str:
    """The model's own folder, or the one beside it that has the file."""
    other = os.path.join(beside, name)
    return other if not os.path.isfile(os.path.join(path, file)) and os.path.isdir(other) else path


def _precision(transformers: Any, request: LoadRequest) -> Dict[str, Any]:
    chosen = text_option(request, "dtype")
    if chosen is None:
        return {}
    if chosen not in DTYPES:
        raise wrong_option("dtype", "one of %s" % ", ".join(DTYPES))
    release = tuple(int(part) for part in transformers.__version__.split(".")[:2])
    return {"dtype" if release >= (4, 56) else "torch_dtype": chosen}


def _weights(path: str) -> Dict[str, Any]:
    """Where weights lie as safetensors no pickle is opened; else the library reads one that may hold weights alone."""
    names = ("model.safetensors", "model.safetensors.index.json")
    return {"use_safetensors": any(os.path.isfile(os.path.join(path, name)) for name in names)}


def _unopened(error: Exception) -> LoadFailure:
    said = " ".join(str(error).split())
    if "trust_remote_code" in said:
        return LoadFailure(
            "the model has code of its own, which runs only when somebody says so",
            fix="Where you trust whoever made it, write `trust_remote_code = true` under [runtime] in model.toml.",
        )
    return LoadFailure("the folder cannot be opened: %s" % said[:500], fix="Copy the folder again, whole.")


def _bound(tokenizer: Any, model: Any) -> None:
    """Texts are cut where the model ends, and filled up to the longest of a batch."""
    places = getattr(model.config, "max_position_embeddings", None)
    if isinstance(places, int) and places > 2:
        places -= 2 if model.config.model_type in OFFSET_KINDS else 0
        tokenizer.model_max_length = min(tokenizer.model_max_length, places)
    if tokenizer.pad_token is None and tokenizer.eos_token is not None:
        tokenizer.pad_token = tokenizer.eos_token
    if getattr(model.config, "pad_token_id", None) is None:
        model.config.pad_token_id = tokenizer.pad_token_id


def decoded(name: str, array: Array) -> List[str]:
    """The texts of an input, row by row. Raises InputError."""
    found = []
    for row, value in enumerate(array.ravel().tolist()):
        try:
            found.append(value.decode())
        except UnicodeDecodeError as error:
            raise InputError("the input %s holds bytes that are not UTF-8 text, in row %d" % (name, row)) from error
    return found


def in_batches(rows: Sequence[Any], size: int) -> List[Sequence[Any]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def read_json(folder: str, *names: str) -> Any:
    """None for a file that is not there, or is no JSON."""
    try:
        with open(os.path.join(folder, *names), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return None
