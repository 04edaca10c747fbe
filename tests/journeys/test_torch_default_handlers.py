"""TorchServe's handlers for pictures and texts, ours and the original's: one archive, one request, one answer.

The wheel of torchvision in the package index is built for PyTorch with CUDA: its compiled operators do not load beside
PyTorch for the processor. Transforms and models need none of them; the two that its import asks for are declared here,
and never called.
"""

from __future__ import annotations

import io
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from journey_originals import environment

import salver_worker

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

WORKER = Path(salver_worker.__file__).parent
DECLARE = """
import torch
operators = torch.library.Library("torchvision", "DEF")
for name in ("nms", "qnms"):
    operators.define(name + "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
"""
CLASSIFIER = """
import torchvision

class Classifier(torchvision.models.SqueezeNet):
    def __init__(self):
        super().__init__("1_1", 7)
"""
SENTIMENT = """
import torch

class Sentiment(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.EmbeddingBag(40, 4)
        self.layer = torch.nn.Linear(4, 2)

    def forward(self, tokens, offsets):
        return self.layer(self.embedding(tokens, offsets))
"""
MAKE = """
import json, sys
from typing import Dict, List
import image_classifier_model, text_classifier_model

torch.manual_seed(1)

class Detector(torch.nn.Module):
    def forward(self, pictures) -> List[Dict[str, torch.Tensor]]:
        found: List[Dict[str, torch.Tensor]] = []
        for picture in pictures:
            bright = picture.mean()
            boxes = torch.stack([picture.sum(dim=[0, 1])[:4], picture.sum(dim=[0, 2])[:4]])
            found.append({"boxes": boxes, "labels": torch.tensor([1, 2]), "scores": torch.stack([bright, 1 - bright])})
        return found

class Segments(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 3)

    def forward(self, x) -> Dict[str, torch.Tensor]:
        return {"out": self.layer(x)[:, :, ::40, ::40]}

class Numbers(dict):
    def __missing__(self, token):
        return self.setdefault(token, len(self) % 40)

from ts.torch_handler.text_classifier import TextClassifier

handler = TextClassifier()
handler.source_vocab = Numbers({"<unk>": 0})
for text in json.loads(sys.argv[1]):
    handler.preprocess([{"data": text}])
torch.save(dict(handler.source_vocab), "source_vocab.pt")
torch.save(image_classifier_model.Classifier().state_dict(), "image_classifier.pt")
torch.save(text_classifier_model.Sentiment().state_dict(), "text_classifier.pt")
torch.jit.script(Segments()).save("image_segmenter.pt")
class Listing(Detector):
    def forward(self, pictures: List[torch.Tensor]) -> List[Dict[str, torch.Tensor]]:
        found: List[Dict[str, torch.Tensor]] = []
        for picture in pictures:
            found.append({"boxes": picture[:, :1, 0], "labels": torch.tensor([1, 1, 1]), "scores": picture[:, 0, 0]})
        return found

torch.jit.script(Detector()).save("object_detector.pt")
torch.jit.script(Listing()).save("listing.pt")
"""
ASK = """
import importlib, json, sys

folder, has_shims, name, asked = sys.argv[1], sys.argv[2] == "ours", sys.argv[5], sys.argv[6]
name, _, model = name.partition(":")
sys.path[:0] = [sys.argv[3], sys.argv[4], folder] if has_shims else [folder]

class Processor:
    def get_request_property(self, key):
        return headers.get(key)

class Context:
    system_properties = {"model_dir": folder, "gpu_id": None, "limit_max_image_pixels": True}
    model_yaml_config = {}
    request_processor = [Processor()]
    manifest = {"model": {"serializedFile": (model or name) + ".pt"}}
    if name.endswith("classifier"):
        manifest["model"]["modelFile"] = name + "_model.py"
    metrics = type("Metrics", (), {"add_time": lambda *given, **named: None})()

    def get_request_header(self, place, key):
        return headers.get(key)

    def get_request_id(self, place=0):
        return "request"

headers = {}
module = importlib.import_module("ts.torch_handler." + name)
kind = next(value for value in vars(module).values() if getattr(value, "__module__", "") == module.__name__
            and isinstance(value, type))
context, handler = Context(), kind()
handler.initialize(context)
answers = []
for rows in json.loads(asked):
    rows = [{"data": bytearray.fromhex(row) if is_bytes else row} for row, is_bytes in rows]
    answers.append(handler.handle(rows, context))
headers["explain"] = "True"
first = json.loads(asked)[0]
rows = [{"data": bytearray.fromhex(row) if is_bytes else row} for row, is_bytes in first[:1]]
if name in ("image_classifier", "text_classifier"):
    answers.append(handler.handle(rows, context))
print("ANSWERS " + json.dumps([module.__file__, answers]))
"""


TEXTS = [
    "I'd like it!",
    "<b>Don't</b> &amp; won't: it's the film I WOULDN'T like; café, you'd've said \"no\".",
    "y'all ain't can't've 'cause o'clock she'd bit's",
    "It is good. (Very good?) it is; that was: the film",
]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return environment("torchvision", tmp_path_factory.mktemp("torchvision") / "environment") / "python"


@pytest.fixture(scope="module")
def archive(python: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("archive")
    (folder / "index_to_name.json").write_text(json.dumps({str(n): ["n", f"label {n}"] for n in range(7)}))
    (folder / "image_classifier_model.py").write_text(CLASSIFIER)
    (folder / "text_classifier_model.py").write_text(SENTIMENT)
    (folder / "make.py").write_text(DECLARE + MAKE)  # TorchScript is made of a file's text
    command = [python, "-W", "ignore", "make.py", json.dumps(TEXTS)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=600)
    return folder


def picture(colour: tuple[int, int, int], kind: str = "PNG", size: tuple[int, int] = (300, 280)) -> str:
    from PIL import Image

    image = Image.new("RGB", size, colour)
    image.putpixel((3, 5), (255, 0, 0))
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue().hex()


def answers(python: Path, archive: Path, whose: str, name: str, asked: Any, folder: Path) -> tuple[str, Any]:
    command = [python, "-W", "ignore", "-c", DECLARE + ASK, archive, whose, WORKER / "shims", WORKER.parent, name]
    variables = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "HOME": str(folder)}
    ran = subprocess.run(
        [*command, json.dumps(asked)], cwd=folder, env=variables, capture_output=True, check=False, timeout=600
    )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    line = next(line for line in ran.stdout.decode().splitlines() if line.startswith("ANSWERS "))
    where, found = json.loads(line.removeprefix("ANSWERS "))
    return where, found


BLUE, GREY = picture((10, 20, 200)), picture((200, 190, 180), "JPEG")


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("image_classifier", [[(BLUE, True), (GREY, True)], [(BLUE, True)]]),
        ("image_segmenter", [[(BLUE, True), (GREY, True)]]),
        ("object_detector", [[(BLUE, True), (GREY, True)]]),
        ("text_classifier", [[(text, False)] for text in TEXTS] + [[(TEXTS[0].encode().hex(), True)]]),
    ],
)
def test_a_handler_answers_as_the_originals(python: Path, archive: Path, name: str, asked: Any, tmp_path: Path) -> None:
    where, ours = answers(python, archive, "ours", name, asked, tmp_path)
    assert where.startswith(str(WORKER))
    elsewhere, theirs = answers(python, archive, "theirs", name, asked, tmp_path)
    assert not elsewhere.startswith(str(WORKER))
    assert ours == theirs


def test_what_the_original_fails_at_is_answered(python: Path, archive: Path, tmp_path: Path) -> None:
    """A word that the vocabulary lacks, where it has a number for such; pictures of several sizes, in a list."""
    _, found = answers(python, archive, "ours", "text_classifier", [[("unheard of", False)]], tmp_path)
    assert found[0][0].keys() == {"label 0", "label 1"}
    small = picture((250, 250, 250), size=(40, 30))
    _, found = answers(python, archive, "ours", "object_detector:listing", [[(GREY, True), (small, True)]], tmp_path)
    assert [len(things) for things in found[0]] == [3, 3]


CONTRACTIONS = """
import json, sys
sys.path[:0] = [sys.argv[1], sys.argv[2]] if sys.argv[3] == "ours" else []
import random
from ts.handler_utils.text_utils import get_tokenizer, ngrams_iterator
from ts.torch_handler.text_handler import TextHandler
letters = ["'", "'", '"', ".", "<br />", ";", " ", "a", "I", "\\u00e9", "(", "?"]
letters += ["don't", "she'll've", "they", "n't", "sha'n't"]
choose = random.Random(7)
texts = ["".join(choose.choices(letters, k=12)) for _ in range(2000)] + json.loads(sys.argv[4])
class Handler(TextHandler):
    pass
handler = Handler()
tokenize = get_tokenizer("basic_english")
print("ANSWERS " + json.dumps([
    [handler._expand_contractions(text), tokenize(text), list(ngrams_iterator(tokenize(text), 3)),
     handler._remove_html_tags(text), handler._remove_punctuation(text), handler._remove_accented_characters(text)]
    for text in texts]))
"""


def test_texts_are_cleaned_as_the_originals(python: Path, tmp_path: Path) -> None:
    keys = "from ts.torch_handler.contractions import CONTRACTION_MAP; print(*CONTRACTION_MAP, sep='|')"
    told = subprocess.run([python, "-c", keys], capture_output=True, check=True, timeout=300).stdout.decode()
    words = json.dumps(["|".join(told.split("|")), *told.strip().split("|")])
    found = []
    for whose in ("ours", "theirs"):
        command = [python, "-W", "ignore", "-c", CONTRACTIONS, WORKER / "shims", WORKER.parent, whose, words]
        ran = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True, timeout=300)
        found.append(json.loads(ran.stdout.decode().partition("ANSWERS ")[2]))
    assert found[0] == found[1]
