"""Which task a folder of Hugging Face is for: as the name of its architecture ends, or as model.toml says."""

from __future__ import annotations

from typing import Any, Mapping, NamedTuple, Optional, Tuple

from salver_worker.failures import LoadFailure
from salver_worker.runtimes.options import KEY


class Task(NamedTuple):
    """`auto` is the library's class that opens models for it, `reads` what callers send."""

    name: str
    auto: str
    reads: str = "text"
    endings: Tuple[str, ...] = ()


TASKS: Tuple[Task, ...] = (
    Task("text-classification", "AutoModelForSequenceClassification", endings=("ForSequenceClassification",)),
    Task("zero-shot-classification", "AutoModelForSequenceClassification"),
    Task("token-classification", "AutoModelForTokenClassification", endings=("ForTokenClassification",)),
    Task("question-answering", "AutoModelForQuestionAnswering", endings=("ForQuestionAnswering",)),
    Task("fill-mask", "AutoModelForMaskedLM", endings=("ForMaskedLM",)),
    Task("text-generation", "AutoModelForCausalLM", endings=("ForCausalLM", "LMHeadModel")),
    Task("text2text-generation", "AutoModelForSeq2SeqLM", endings=("ForConditionalGeneration", "MTModel")),
    Task("feature-extraction", "AutoModel", endings=("Model",)),
    Task("image-classification", "AutoModelForImageClassification", "image", ("ForImageClassification",)),
    Task("audio-classification", "AutoModelForAudioClassification", "audio", ("ForAudioClassification",)),
    Task("automatic-speech-recognition", "AutoModelForCTC", "audio", ("ForCTC",)),
)
OTHER_NAMES = {
    "sentiment-analysis": "text-classification",
    "ner": "token-classification",
    "summarization": "text2text-generation",
    "translation": "text2text-generation",
    "sentence-similarity": "feature-extraction",
    "embeddings": "feature-extraction",
}
"""What people and other servers call the same."""
LISTENERS = ("whisper", "speech_to_text", "moonshine")
"""They write down what is said, and end as those that translate do."""
AUDIO = (
    "wav2vec2", "wav2vec2-bert", "wav2vec2-conformer", "hubert", "wavlm", "unispeech", "unispeech-sat", "sew", "sew-d",
    "data2vec-audio", "audio-spectrogram-transformer", "whisper",
)  # fmt: skip
"""Their classifiers are called as those of texts are."""


def chosen_task(told: Optional[str], config: Mapping[str, Any]) -> Task:
    """Raises LoadFailure when nobody says it, or it is none of those that there are."""
    if told is not None:
        name = OTHER_NAMES.get(told, told)
        task = next((task for task in TASKS if task.name == name), None)
        if task is None:
            raise LoadFailure(
                "there is no task %s; there are: %s" % (told, ", ".join(task.name for task in TASKS)),
                code="MANIFEST_INVALID",
                fix="Correct `task` under [runtime].",
                where=[KEY, "task"],
            )
        return _spoken(task, config)
    names = [str(name) for name in config.get("architectures") or ()]
    for name in names:
        for task in TASKS:
            if name.endswith(task.endings):
                return _fitting(task, config)
    raise LoadFailure(
        "config.json does not say what the model is for (%s)" % (", ".join(names) or "it names no architecture"),
        fix='Say it in model.toml under [runtime]: task = "text-classification", or another of: %s.'
        % ", ".join(task.name for task in TASKS),
    )


def _fitting(task: Task, config: Mapping[str, Any]) -> Task:
    """The task of models of other senses, whose architectures are called alike."""
    kind = config.get("model_type")
    if task.name == "text-classification" and kind in AUDIO:
        return _named("audio-classification")
    if task.name == "text2text-generation" and kind in LISTENERS:
        return _spoken(_named("automatic-speech-recognition"), config)
    is_seeing = "vision_config" in config or kind in ("vit", "dinov2", "beit", "swin", "clip")
    if task.name in ("text2text-generation", "feature-extraction") and is_seeing:
        raise LoadFailure(
            "the model reads pictures, and there is no task here for what it does",
            fix="Wrap it in a Python file with a `predict` function, and serve that.",
        )
    return task


def _spoken(task: Task, config: Mapping[str, Any]) -> Task:
    if task.name == "automatic-speech-recognition" and config.get("model_type") in LISTENERS:
        return task._replace(auto="AutoModelForSpeechSeq2Seq")
    return task


def _named(name: str) -> Task:
    return next(task for task in TASKS if task.name == name)
