"""Models of PyTorch and Hugging Face from their files alone: their environment is built, and every wire answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
import requests
from journey_server import Server, serving
from journey_wires import NATIVE, OPENINFERENCE, TFSERVING

from framework_environments import framework_python, run_in

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
RELEASES = ("torch==2.13.0", "transformers==5.23.0", "safetensors==0.8.0", "pillow==13.0.0")
BUILT_S = 2400.0
ROW = [1.0, -2.0, 3.0, 0.5]
TEXT = "the cat sat"

MAKE = """
import json
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast, pipeline

torch.manual_seed(0)


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 3)

    def forward(self, x):
        return {"scores": self.layer(x)}


folder, row, text = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
net, rows = Net().eval(), torch.export.Dim("rows")
program = torch.export.export(net, (torch.ones(2, 4),), dynamic_shapes={"x": {0: rows}})
torch.export.save(program, os.path.join(folder, "net.pt2"))

inner = Tokenizer(
    models.BPE(vocab={c: i for i, c in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}, merges=[])
)
inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
tokens = PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>")
config = GPT2Config(
    vocab_size=len(tokens),
    n_positions=64,
    n_embd=16,
    n_layer=1,
    n_head=2,
    initializer_range=1.0,
    bos_token_id=tokens.eos_token_id,
    eos_token_id=tokens.eos_token_id,
)
writer = GPT2LMHeadModel(config).eval()
for part in (writer, tokens):
    part.save_pretrained(os.path.join(folder, "writer"))
write = pipeline("text-generation", model=writer, tokenizer=tokens)
written = write(text, max_new_tokens=12, do_sample=False, return_full_text=False)[0]["generated_text"]
print(json.dumps({"scores": net(torch.tensor([row]))["scores"][0].tolist(), "text": written}))
"""


class Site(NamedTuple):
    server: Server
    answers: dict[str, Any]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Both models, given by their paths. The newest releases would be gigabytes: pip's constraint names older ones."""
    folder = tmp_path_factory.mktemp("pytorch")
    made = run_in(framework_python(*RELEASES), MAKE, folder, json.dumps(ROW), TEXT)
    (folder / "constraints.txt").write_text("\n".join(RELEASES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PIP_CONSTRAINT", str(folder / "constraints.txt"))
        options = {"anonymous": "all", "build_timeout_s": BUILT_S, "load_timeout_s": 600}
        with serving(folder / "net.pt2", folder / "writer", folder=folder, wait="announced", **options) as server:
            server.wait_ready(BUILT_S)
            yield Site(server, json.loads(made.splitlines()[-1]))


def test_a_program_answers_over_every_wire_in_an_environment_that_was_built_for_it(site: Site) -> None:
    for wire in (NATIVE, TFSERVING, OPENINFERENCE):
        answer = wire.ask(site.server.url, "net", {"x": ROW})
        assert answer.status_code == 200, answer.text
        found = wire.row(answer.json())
        scores = found["scores"] if isinstance(found, dict) else found
        assert scores == pytest.approx(site.answers["scores"], abs=1e-5)
    version = site.server.version("net")
    assert version["details"]["format"] == "torch.export"
    assert "torch>=2.13" in site.server.printed  # as the file says, which names the release that saved it
    metadata = site.server.get("/v2/models/net").json()
    assert metadata["platform"] == "pytorch_libtorch"
    assert metadata["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}]


def test_a_text_is_written_whole_and_in_parts(site: Site) -> None:
    body = {"inputs": {"prompt": [TEXT]}}
    plain = site.server.post("/api/v1/models/writer/predict", json=body)
    assert plain.status_code == 200, plain.text
    wish = {"prompt": TEXT, "parameters": {"max_new_tokens": 12, "do_sample": False}}
    whole = site.server.post("/v2/models/writer/generate", json=wish)
    assert whole.json()["text"] == site.answers["text"], whole.text
    address = f"{site.server.url}/v2/models/writer/generate_stream"
    with requests.post(address, json=wish, stream=True, timeout=60) as answer:
        assert answer.status_code == 200, answer.text
        lines = [line for line in answer.iter_lines(decode_unicode=True) if line]
    found = [json.loads(line.removeprefix("data:"))["text"] for line in lines]
    assert len(found) > 1
    assert "".join(found) == site.answers["text"]


def test_a_wish_out_of_bounds_is_the_callers_error(site: Site) -> None:
    wish = {"prompt": TEXT, "parameters": {"max_new_tokens": 100_000}}
    answer = site.server.post("/v2/models/writer/generate", json=wish)
    assert answer.status_code == 400
    assert "max_new_tokens must be a whole number from 1 to 1024" in answer.json()["error"]
