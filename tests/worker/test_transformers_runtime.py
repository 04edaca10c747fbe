"""Folders of Hugging Face in real workers: each task answers what the library itself does, in a batch as alone."""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from transformers_models import make_models, transformers_python

from salver_worker import frames

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("transformers")


@pytest.fixture(scope="module")
def answers(folder: Path) -> dict[str, Any]:
    return make_models(folder)


@pytest.fixture(scope="module")
def load(driver: Any, folder: Path, answers: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Loads a folder in a worker of its own; the last two are kept for the next test that wants the same."""
    workers: dict[str, Any] = {}
    homes = itertools.count()
    with ExitStack() as stack:

        def load(name: str, **runtime: Any) -> Any:
            key = f"{name} {runtime}"
            if key not in workers:
                if len(workers) > 1:
                    workers.pop(next(iter(workers))).kill()
                home = folder / f"home{next(homes)}"
                home.mkdir()
                worker = stack.enter_context(driver.WorkerProcess(home, python=transformers_python()))
                path = folder / name
                answer = worker.load("transformers", path, folder=str(path), manifest={"runtime": runtime})
                worker.ready = answer.header
                if answer.verb == frames.READY:
                    worker.signature = answer.header["signatures"]["serving_default"]
                    worker.link = worker.attach()
                workers[key] = worker
            return workers[key]

        yield load


def row(name: str, datatype: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": list(shape)}


@pytest.fixture
def ask(driver: Any) -> Callable[..., Any]:
    """The outputs for BYTES inputs; text comes back as text. Parameters are in `parameters`."""

    def ask(worker: Any, parameters: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
        tensors = [driver.tensor(name, value, "BYTES") for name, value in inputs.items()]
        answer = worker.link.predict(*tensors, **(parameters or {}))
        assert answer.verb == frames.RESULT, (answer.header, worker.log)
        return {name: _plain(array) for name, array in answer.arrays.items()}

    return ask


@pytest.fixture
def refusal(driver: Any) -> Callable[..., str]:
    def refusal(worker: Any, parameters: dict[str, Any] | None = None, **inputs: Any) -> str:
        tensors = [driver.tensor(name, value, "BYTES") for name, value in inputs.items()]
        answer = worker.link.predict(*tensors, **(parameters or {}))
        assert (answer.verb, answer.header["code"]) == (frames.ERROR, "INVALID_INPUT"), answer.header
        return str(answer.header["message"])

    return refusal


def _plain(array: Any) -> Any:
    if array.dtype != object:
        return array.tolist()
    return np.vectorize(bytes.decode, otypes=[object])(array).tolist()


def near(value: Any) -> Any:
    return pytest.approx(value, abs=1e-4)


def columns(rows: Any, *keys: str) -> list[Any]:
    return [[[entry[key] for entry in row] for row in rows] for key in keys]


@pytest.mark.parametrize("name", ["classify", "pickled"])
def test_texts_are_classified_as_the_library_does(load: Any, ask: Any, answers: dict[str, Any], name: str) -> None:
    worker = load(name)
    assert worker.signature["inputs"] == [row("text", "BYTES", -1)]
    assert worker.signature["outputs"] == [row("label", "BYTES", -1), row("score", "FP32", -1)]
    assert worker.ready["has_batch_dimension"] is True
    assert worker.ready["runtime_version"] == "transformers 5.23.0"
    assert worker.ready["details"] == {
        "task": "text-classification",
        "device": "cpu",
        "architecture": "BertForSequenceClassification",
    }
    expected = answers["classify"]
    found = ask(worker, text=answers["texts"])
    assert found == {"label": [each["label"] for each in expected], "score": near([each["score"] for each in expected])}
    for place, text in enumerate(answers["texts"]):
        assert ask(worker, text=[text])["score"] == near([expected[place]["score"]])


def test_as_many_labels_as_asked_for(load: Any, ask: Any, refusal: Any, answers: dict[str, Any]) -> None:
    worker = load("classify")
    labels, scores = columns(answers["classify_top"], "label", "score")
    found = ask(worker, {"top_k": 2}, text=answers["texts"])
    assert found["label"] == labels
    assert np.array(found["score"]) == near(np.array(scores))
    assert "top_k must be a whole number from 1 to 1000" in refusal(worker, {"top_k": 0}, text=["a"])
    assert "function_to_apply must be one of" in refusal(worker, {"function_to_apply": "eval"}, text=["a"])


def test_a_text_that_is_too_long_is_cut_and_one_that_is_none_refused(load: Any, ask: Any, refusal: Any) -> None:
    worker = load("classify")
    assert len(ask(worker, text=["the cat " * 200, "a"])["label"]) == 2
    assert refusal(worker, text=["a", b"\xff"]) == "the input text holds bytes that are not UTF-8 text, in row 1"


def test_the_labels_of_a_request_are_weighed(load: Any, ask: Any, refusal: Any, answers: dict[str, Any]) -> None:
    worker = load("zero", task="zero-shot-classification")
    expected = answers["zero"]
    for given in (["sport", "politics"], '["sport", "politics"]'):
        found = ask(worker, {"candidate_labels": given}, text=answers["texts"])
        assert found["label"] == [each["labels"] for each in expected]
        assert np.array(found["score"]) == near(np.array([each["scores"] for each in expected]))
    assert "candidate_labels must name the labels" in refusal(worker, text=["a"])
    assert "empty in row 1" in refusal(worker, {"candidate_labels": ["a"]}, text=["a", " "])
    told = load("zero", task="zero-shot-classification", labels=["sport", "politics"])
    assert ask(told, text=["a dog"])["label"] == [expected[1]["labels"]]


def test_named_things_come_as_json_for_each_text(load: Any, ask: Any, answers: dict[str, Any]) -> None:
    found = [json.loads(text) for text in ask(load("tokens"), text=answers["texts"])["entities"]]
    for entities, expected in zip(found, answers["tokens"], strict=True):
        assert [{**entity, "score": 0} for entity in entities] == [{**entity, "score": 0} for entity in expected]
        assert [entity["score"] for entity in entities] == near([entity["score"] for entity in expected])


def test_the_mask_is_filled(load: Any, ask: Any, refusal: Any, answers: dict[str, Any]) -> None:
    worker = load("mask")
    found = ask(worker, {"top_k": 3}, text=["the [MASK] sat", "a [MASK]"])
    assert found["token"][0] == [each["token_str"] for each in answers["mask"]]
    assert found["score"][0] == near([each["score"] for each in answers["mask"]])
    assert "must have [MASK] once, in row 1" in refusal(worker, text=["[MASK]", "a dog"])


def test_an_answer_is_a_part_of_its_context(load: Any, ask: Any) -> None:
    worker = load("answer")
    question, long = "who sat where", "the cat sat on the mat and the dog sang a song " * 20
    contexts = ["the cat sat on the mat", long]
    found = ask(worker, question=[question] * 2, context=contexts)
    for place, context in enumerate(contexts):
        start, end = found["start"][place], found["end"][place]
        assert found["answer"][place] == context[start:end] != ""
        assert 0 < found["score"][place] <= 1
        alone = ask(worker, question=[question], context=[context])
        assert (alone["start"], alone["end"]) == ([start], [end])


def test_vectors_are_pooled_as_asked(load: Any, ask: Any, answers: dict[str, Any]) -> None:
    worker = load("embed")
    assert worker.signature["outputs"] == [row("embedding", "FP32", -1, 16)]
    assert worker.ready["details"]["pooling"] == "mean"
    assert ask(worker, text=answers["texts"])["embedding"][0] == near(answers["mean"])
    unit = ask(worker, {"normalize": True}, text=["a dog"])["embedding"][0]
    assert np.linalg.norm(unit) == pytest.approx(1, abs=1e-5)
    for pooling in ("cls", "max"):
        assert ask(load("embed", pooling=pooling), text=answers["texts"])["embedding"][0] == near(answers[pooling])


def test_a_folder_of_sentence_transformers_says_its_pooling(load: Any, ask: Any, answers: dict[str, Any]) -> None:
    worker = load("sentences")
    assert worker.ready["details"]["pooling"] == "cls"
    expected = np.array(answers["cls"]) / np.linalg.norm(answers["cls"])
    assert ask(worker, text=answers["texts"])["embedding"][0] == near(expected.tolist())


def test_a_prompt_is_gone_on_with(load: Any, ask: Any, answers: dict[str, Any]) -> None:
    worker = load("write")
    wish = {"max_new_tokens": 8, "do_sample": False}
    assert ask(worker, wish, prompt=answers["texts"])["text"] == answers["write"]
    whole = ask(worker, {**wish, "return_full_text": True}, prompt=answers["texts"][:1])["text"]
    assert whole == [answers["texts"][0] + answers["write"][0]]
    stop = answers["write"][0][2:4]
    stopped = ask(worker, {**wish, "stop": stop}, prompt=answers["texts"][:1])["text"][0]
    assert stopped == answers["write"][0].partition(stop)[0]


def test_a_seed_gives_the_same_text_again_whatever_else_is_asked(load: Any, ask: Any) -> None:
    worker = load("write")
    wish = {"max_tokens": 8, "temperature": 1.5, "seed": 7}
    first, second = ask(worker, wish, prompt=["a dog", "the cat sat"])["text"]
    assert ask(worker, wish, prompt=["the cat sat"])["text"] == [second]
    assert ask(worker, wish, prompt=["a dog"])["text"] == [first]
    others = {ask(worker, {**wish, "seed": seed}, prompt=["a dog"])["text"][0] for seed in range(5)}
    assert len(others) > 1


def pieces(worker: Any, driver: Any, name: str, values: list[str], **parameters: Any) -> tuple[list[str], Any]:
    parts, last = worker.link.stream(driver.tensor(name, values, "BYTES"), **parameters)
    return [part.arrays["text"][0].decode() for part in parts], last


def test_a_text_can_be_read_as_it_is_written(load: Any, ask: Any, driver: Any, answers: dict[str, Any]) -> None:
    worker, prompt = load("write"), "the cat sat on the mat"
    assert worker.ready["gives_parts"] is True
    found, last = pieces(worker, driver, "prompt", [prompt], max_new_tokens=8, do_sample=False)
    assert last.verb == frames.RESULT
    assert len(found) > 1
    assert "".join(found) == answers["write"][0]
    for wish in ({"return_full_text": True}, {"stop": answers["write"][0][2:4]}, {"temperature": 1.5, "seed": 3}):
        whole = ask(worker, {"max_new_tokens": 8, **wish}, prompt=[prompt])["text"]
        found, _ = pieces(worker, driver, "prompt", [prompt], max_new_tokens=8, **wish)
        assert ["".join(found)] == whole
    found, _ = pieces(load("rewrite"), driver, "text", [prompt], max_new_tokens=6)
    assert "".join(found) == answers["rewrite"][0]


def test_what_cannot_be_written_in_parts_is_refused(load: Any, driver: Any) -> None:
    worker = load("write")
    for values, wish, said in (
        (["a", "b"], {}, "a text is written in parts for one row, not for 2"),
        (["a"], {"num_beams": 2}, "with num_beams no text is known before its end"),
        ([""], {}, "is empty, in row 0"),
        (["a"], {"seed": -1}, "seed must be a whole number"),
    ):
        found, last = pieces(worker, driver, "prompt", values, **wish)
        assert (found, last.header["code"]) == ([], "INVALID_INPUT")
        assert said in last.header["message"]


def test_a_reader_who_is_gone_ends_the_writing(load: Any, ask: Any, driver: Any) -> None:
    worker = load("write")
    link = worker.attach(2)
    asked = link.send_predict(driver.tensor("prompt", ["a"], "BYTES"), wants_parts=True, max_new_tokens=60)
    assert link.receive().verb == frames.PART
    worker.cancel(link, asked)
    parts, last = link.receive_parts()
    assert last.verb == frames.RESULT or last.header["code"] == "CANCELLED"
    assert len(parts) < 60
    assert ask(worker, {"max_new_tokens": 2}, prompt=["a"])["text"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"max_new_tokens": 21}, "max_new_tokens must be a whole number from 1 to 20"),
        ({"max_tokens": 0}, "max_tokens must be a whole number from 1 to 20"),
        ({"temperature": -1}, "temperature must be a number from 0 to 100"),
        ({"temperature": "hot"}, "temperature must be a number"),
        ({"top_p": 2}, "top_p must be a number from 0 to 1"),
        ({"top_k": 1.5}, "top_k must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"stop": 5}, "stop must be a text, or a list of texts"),
        ({"do_sample": 1}, "do_sample must be true or false"),
    ],
)
def test_wishes_out_of_bounds_are_refused(load: Any, refusal: Any, parameters: dict[str, Any], said: str) -> None:
    assert said in refusal(load("write", max_new_tokens=20), parameters, prompt=["a"])


def test_a_prompt_that_leaves_no_room_is_refused_and_a_long_one_gets_what_is_left(
    load: Any, ask: Any, refusal: Any
) -> None:
    worker = load("write")
    assert "the model reads 63, in row 1" in refusal(worker, prompt=["a", "the cat sat on " * 30])
    assert "is empty, in row 0" in refusal(worker, prompt=[""])
    assert ask(worker, {"max_new_tokens": 100}, prompt=["q" * 60])["text"][0]


def test_a_text_is_made_of_another(load: Any, ask: Any, answers: dict[str, Any]) -> None:
    worker = load("rewrite")
    assert worker.ready["details"]["task"] == "text2text-generation"
    assert worker.signature["inputs"] == [row("text", "BYTES", -1)]
    for place, text in enumerate(answers["texts"]):
        assert ask(worker, {"max_new_tokens": 6}, text=[text])["text"] == [answers["rewrite"][place]]


def test_pictures_are_classified(load: Any, ask: Any, refusal: Any, folder: Path, answers: dict[str, Any]) -> None:
    worker, picture = load("see"), (folder / "picture.png").read_bytes()
    labels, scores = columns([answers["see"]] * 2, "label", "score")
    found = ask(worker, {"top_k": 2}, image=[picture, picture])
    assert found["label"] == labels
    assert np.array(found["score"]) == near(np.array(scores))
    assert "the input image, row 1" in refusal(worker, image=[picture, picture[:50]])


def test_sounds_are_classified_and_written_down(
    load: Any, ask: Any, refusal: Any, folder: Path, answers: dict[str, Any]
) -> None:
    sound = (folder / "sound.wav").read_bytes()
    worker = load("hear")
    assert worker.ready["details"]["task"] == "audio-classification"
    labels, scores = columns([answers["hear"]], "label", "score")
    found = ask(worker, {"top_k": 2}, audio=[sound])
    assert (found["label"], np.array(found["score"])) == (labels, near(np.array(scores)))
    assert "no WAV file of plain samples, in row 1" in refusal(worker, audio=[sound, b"ID3"])
    slower = sound[:24] + (8000).to_bytes(4, "little") + sound[28:]
    assert "has 8000 samples a second, in row 0, and the model wants 16000" in refusal(worker, audio=[slower])
    assert ask(load("listen"), audio=[sound, sound])["text"] == [answers["listen"]] * 2


def test_what_cannot_be_served_says_why(load: Any, folder: Path, answers: dict[str, Any]) -> None:
    message = load("classify", task="juggling").ready["message"]
    assert "there is no task juggling; there are: text-classification" in message
    message = load("classify", taks="x").ready["message"]
    assert message == "the runtime transformers has no option `taks`; did you mean `task`?"
    assert "`runtime.dtype` must be one of" in load("classify", dtype="int8").ready["message"]
    own = folder / "own"
    shutil.copytree(folder / "classify", own)
    config = json.loads((own / "config.json").read_text())
    names = {"AutoConfig": "code.Own", "AutoModelForSequenceClassification": "code.Net"}
    config.update(model_type="own", auto_map=names)
    (own / "config.json").write_text(json.dumps(config))
    (own / "code.py").write_text("raise SystemExit('it was run')")
    failed = load("own").ready
    assert failed["message"] == "the model has code of its own, which runs only when somebody says so"
    assert "trust_remote_code = true" in failed["fix"]


def test_it_says_nothing_and_ends_well(driver: Any, folder: Path, answers: dict[str, Any], tmp_path: Path) -> None:
    with driver.WorkerProcess(tmp_path, python=transformers_python()) as worker:
        assert worker.load("transformers", folder / "write", folder=str(folder)).verb == frames.READY
        worker.attach().predict(driver.tensor("prompt", ["a", "the cat"], "BYTES"), max_new_tokens=4)
        assert worker.stop() == 0
        assert worker.log == ""
