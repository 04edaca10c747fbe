"""Tiny models of Hugging Face with random weights, one folder for each task, with what the library itself answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from framework_environments import framework_python, run_in

TRANSFORMERS = ("torch==2.13.0", "transformers==5.23.0", "safetensors==0.8.0", "pillow==13.0.0")

MAKE = """
import io, json, os, struct, sys, warnings, wave

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")
import numpy as np
import torch
import transformers as hf
from tokenizers import Tokenizer, models, pre_tokenizers, processors, decoders, trainers

hf.logging.set_verbosity_error()
folder = sys.argv[1]
torch.manual_seed(0)
TEXTS = ["the cat sat on the mat", "a dog", "the bird sang a song to the cat and the dog"]
CORPUS = TEXTS + ["this example is sport politics where who what is ."]


def bert_tokenizer():
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    words = sorted({word for text in CORPUS for word in text.split()})
    letters = [chr(97 + i) for i in range(26)] + ["##" + chr(97 + i) for i in range(26)]
    names = special + words + [letter for letter in letters if letter not in words]
    inner = Tokenizer(models.WordPiece({name: i for i, name in enumerate(names)}, unk_token="[UNK]"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    inner.decoder = decoders.WordPiece()
    inner.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return hf.PreTrainedTokenizerFast(
        tokenizer_object=inner,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def gpt_tokenizer():
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=300, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
        ),
    )
    return hf.PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", bos_token="<end>")


words, bytes_ = bert_tokenizer(), gpt_tokenizer()
small = dict(
    vocab_size=len(words),
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    max_position_embeddings=64,
    initializer_range=1.0,
)


def save(name, model, *parts, **options):
    for part in (model.eval(), *parts):
        part.save_pretrained(os.path.join(folder, name), **options)
    return model


def bert(kind, **more):
    return getattr(hf, kind)(hf.BertConfig(**small, **more))


named = {i: name for i, name in enumerate(["sport", "politics", "weather"])}
labels = dict(id2label=named, label2id={name: i for i, name in named.items()})
answers = {"texts": TEXTS}

classify = save("classify", bert("BertForSequenceClassification", **labels), words)
pipe = hf.pipeline("text-classification", model=classify, tokenizer=words)
answers["classify"] = pipe(TEXTS)
answers["classify_top"] = pipe(TEXTS, top_k=2)
os.makedirs(os.path.join(folder, "pickled"))
save("pickled", classify, words)
os.remove(os.path.join(folder, "pickled", "model.safetensors"))
torch.save(classify.state_dict(), os.path.join(folder, "pickled", "pytorch_model.bin"))

zero = save(
    "zero",
    bert(
        "BertForSequenceClassification",
        id2label={0: "entailment", 1: "neutral"},
        label2id={"entailment": 0, "neutral": 1},
    ),
    words,
)
answers["zero"] = hf.pipeline("zero-shot-classification", model=zero, tokenizer=words)(
    TEXTS, candidate_labels=["sport", "politics"]
)
tokens = save(
    "tokens",
    bert(
        "BertForTokenClassification",
        id2label={0: "O", 1: "B-PER", 2: "I-PER"},
        label2id={"O": 0, "B-PER": 1, "I-PER": 2},
    ),
    words,
)
answers["tokens"] = [
    [{key: (value.item() if hasattr(value, "item") else value) for key, value in entity.items()} for entity in row]
    for row in hf.pipeline("token-classification", model=tokens, tokenizer=words, aggregation_strategy="simple")(
        TEXTS
    )
]
mask = save("mask", bert("BertForMaskedLM"), words)
answers["mask"] = hf.pipeline("fill-mask", model=mask, tokenizer=words)("the [MASK] sat", top_k=3)
reader = save("answer", bert("BertForQuestionAnswering"), words)

hidden = save("embed", bert("BertModel"), words)
encoded = words(TEXTS[0], return_tensors="pt")
with torch.no_grad():
    states = hidden(**encoded)[0][0]
answers["mean"], answers["cls"], answers["max"] = (
    states.mean(0).tolist(),
    states[0].tolist(),
    states.max(0).values.tolist(),
)
sentences = save("sentences", hidden, words)
os.makedirs(os.path.join(folder, "sentences", "1_Pooling"))
json.dump(
    [
        {"path": "", "type": "sentence_transformers.models.Transformer"},
        {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    open(os.path.join(folder, "sentences", "modules.json"), "w"),
)
json.dump(
    {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False},
    open(os.path.join(folder, "sentences", "1_Pooling", "config.json"), "w"),
)

gpt = hf.GPT2LMHeadModel(
    hf.GPT2Config(
        vocab_size=len(bytes_),
        n_positions=64,
        n_embd=16,
        n_layer=2,
        n_head=2,
        initializer_range=1.0,
        bos_token_id=bytes_.bos_token_id,
        eos_token_id=bytes_.eos_token_id,
    )
)
gpt.generation_config.eos_token_id = None  # random weights would end where they like
save("write", gpt, bytes_)
pipe = hf.pipeline("text-generation", model=gpt, tokenizer=bytes_)
answers["write"] = [
    pipe(text, max_new_tokens=8, do_sample=False, return_full_text=False)[0]["generated_text"] for text in TEXTS
]

t5 = hf.T5ForConditionalGeneration(
    hf.T5Config(
        vocab_size=len(bytes_),
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=2,
        num_heads=2,
        decoder_start_token_id=0,
        pad_token_id=0,
        eos_token_id=None,
    )
)
save("rewrite", t5, bytes_)
answers["rewrite"] = [
    bytes_.decode(t5.generate(**bytes_(text, return_tensors="pt"), max_new_tokens=6)[0], skip_special_tokens=True)
    for text in TEXTS
]

vit = hf.ViTForImageClassification(
    hf.ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=32,
        patch_size=8,
        **labels,
    )
)
processor = hf.ViTImageProcessor(size={"height": 32, "width": 32})
save("see", vit, processor)
from PIL import Image

picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 50, 3), np.uint8))
picture.save(os.path.join(folder, "picture.png"))
answers["see"] = hf.pipeline("image-classification", model=vit, image_processor=processor)(picture, top_k=2)

sound = (np.sin(np.arange(4000) / 20) * 20000).astype("<i2")
with wave.open(os.path.join(folder, "sound.wav"), "wb") as file:
    file.setnchannels(1)
    file.setsampwidth(2)
    file.setframerate(16000)
    file.writeframes(sound.tobytes())
small_sound = dict(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=32,
    conv_dim=(8, 8),
    conv_stride=(5, 4),
    conv_kernel=(10, 8),
    num_feat_extract_layers=2,
    num_conv_pos_embeddings=16,
    num_conv_pos_embedding_groups=2,
)
extractor = hf.Wav2Vec2FeatureExtractor()
hear = save(
    "hear",
    hf.Wav2Vec2ForSequenceClassification(hf.Wav2Vec2Config(**small_sound, classifier_proj_size=8, **labels)),
    extractor,
)
floats = sound.astype(np.float32) / 32768
answers["hear"] = hf.pipeline("audio-classification", model=hear, feature_extractor=extractor)(
    {"raw": floats, "sampling_rate": 16000}, top_k=2
)
letters = ["<pad>", "<s>", "</s>", "<unk>", "|"] + [chr(97 + i) for i in range(26)]
json.dump({letter: i for i, letter in enumerate(letters)}, open(os.path.join(folder, "vocab.json"), "w"))
ctc = hf.Wav2Vec2CTCTokenizer(os.path.join(folder, "vocab.json"))
speech = save(
    "listen",
    hf.Wav2Vec2ForCTC(hf.Wav2Vec2Config(**small_sound, vocab_size=len(letters), pad_token_id=0)),
    extractor,
    ctc,
)
answers["listen"] = hf.pipeline(
    "automatic-speech-recognition", model=speech, feature_extractor=extractor, tokenizer=ctc
)({"raw": floats, "sampling_rate": 16000})["text"]
json.dump(answers, open(os.path.join(folder, "answers.json"), "w"))
"""


def transformers_python() -> str:
    return framework_python(*TRANSFORMERS)


def make_models(folder: Path) -> dict[str, Any]:
    """Fills the folder; the answers by the name of the model."""
    run_in(transformers_python(), MAKE, folder)
    answers: dict[str, Any] = json.loads((folder / "answers.json").read_text())
    return answers
