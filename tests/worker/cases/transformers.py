"""A classifier of texts with random weights, and a tokenizer that knows a word more than the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runtime_cases import Ask, Case, tensor_rows

from framework_environments import run_in

MAKE = """
import sys
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

names = ["[PAD]", "[UNK]", "the", "cat", "a", "dog", "beyond"]
inner = Tokenizer(models.WordLevel({name: place for place, name in enumerate(names)}, unk_token="[UNK]"))
inner.pre_tokenizer = pre_tokenizers.Whitespace()
PreTrainedTokenizerFast(tokenizer_object=inner, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(sys.argv[1])
torch.manual_seed(0)
config = BertConfig(
    vocab_size=len(names) - 1,
    hidden_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    intermediate_size=8,
    max_position_embeddings=16,
    initializer_range=1.0,
)
BertForSequenceClassification(config).save_pretrained(sys.argv[1])
"""


def build(folder: Path, python: str) -> Path:
    path = folder / "model"
    run_in(python, MAKE, path)
    return path


def ask(name: str = "text", datatype: str = "BYTES", value: Any = "the cat", **parameters: Any) -> Ask:
    return lambda link, driver, rows: link.predict(driver.tensor(name, [value] * rows, datatype), **parameters)


CASE = Case(
    build,
    ask(),
    tensor_rows,
    {
        "datatype": (ask(datatype="FP32", value=1.0), "INVALID_INPUT"),
        "rank": (ask(value=["a", "dog", "beyond"]), "INVALID_INPUT"),
        "name": (ask("z"), "INVALID_INPUT"),
        "nothing": (lambda link, driver, rows: link.predict(), "INVALID_INPUT"),
        "content": (ask(value=b"\xff"), "INVALID_INPUT"),
        "poison": (ask(value="the beyond"), "MODEL_ERROR"),
        "parameter": (ask(top_k=0), "INVALID_INPUT"),
    },
    requirements=("torch==2.13.0", "transformers==5.23.0", "safetensors==0.8.0", "pillow==13.0.0"),
    slab_values=("a dog", "the cat"),
    input="text",
    many=64,
)
