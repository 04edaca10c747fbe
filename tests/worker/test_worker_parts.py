"""Answers in parts, from real workers: PART frames before RESULT, for those who ask for them and no others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from salver_worker import frames

COUNTING = """
    from typing import Iterator

    def predict(text: str) -> Iterator[str]:
        for word in text.split():
            yield word + " "
"""


def words(answer: Any) -> list[bytes]:
    return list(answer.arrays["output"].ravel())


def test_each_yield_is_a_part_and_the_result_adds_nothing(serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function(COUNTING)
    assert worker.ready["gives_parts"]
    parts, last = worker.attach().stream(driver.tensor("text", ["one two three"], "BYTES"))
    assert [words(part) for part in parts] == [[b"one "], [b"two "], [b"three "]]
    assert (last.verb, last.header) == (frames.RESULT, {"tensors": []})


def test_who_takes_no_parts_gets_the_whole_of_each_row(serve_function: Callable[..., Any], driver: Any) -> None:
    link = serve_function(COUNTING).attach()
    answer = link.predict(driver.tensor("text", ["one two", "", "three"], "BYTES"))
    assert words(answer) == [b"one two ", b"", b"three "]


def test_the_header_of_a_plain_model_is_told_and_its_answer_is_one(echo: Any, driver: Any) -> None:
    parts, last = echo.attach().stream(driver.tensor("x", [[1.0]], "FP32"))
    assert (parts, last.verb) == ([], frames.RESULT)
    assert last.arrays["x"].tolist() == [[1.0]]


def test_of_numbers_the_last_part_is_the_answer(serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function(
        """
        import numpy as np
        from typing import Iterator

        def predict(x: np.ndarray) -> Iterator[np.ndarray]:
            for factor in (1.0, 2.0, 3.0):
                yield x.sum(axis=1) * factor
        """
    )
    link, inputs = worker.attach(), driver.tensor("x", [[1.0, 2.0], [3.0, 4.0]], "FP64")
    parts, _ = link.stream(inputs)
    assert [part.arrays["output"].tolist() for part in parts] == [[3.0, 7.0], [6.0, 14.0], [9.0, 21.0]]
    assert link.predict(inputs).arrays["output"].tolist() == [9.0, 21.0]


@pytest.mark.parametrize(
    "source",
    [
        "async def predict(text: str):\n    for word in text.split():\n        yield word + ' '",
        "import typing\ndef predict(text: str) -> typing.Iterator[str]:\n    return (w + ' ' for w in text.split())",
        "class Model:\n    def predict(self, text: str):\n        yield from (w + ' ' for w in text.split())",
    ],
)
def test_generators_of_every_kind(source: str, serve_function: Callable[..., Any], driver: Any) -> None:
    link = serve_function(source).attach()
    inputs = driver.tensor("text", ["one two"], "BYTES")
    parts, _ = link.stream(inputs)
    assert [words(part) for part in parts] == [[b"one "], [b"two "]]
    assert words(link.predict(inputs)) == [b"one two "]


def test_what_is_yielded_is_declared_by_its_annotation(serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function("from typing import Iterator\ndef predict(n: int) -> Iterator[float]:\n    yield 1")
    assert worker.signature["outputs"] == [{"name": "output", "datatype": "FP64", "shape": [-1]}]
    parts, _ = worker.attach().stream(driver.tensor("n", [1], "INT64"))
    assert parts[0].arrays["output"].dtype == "f8"


def test_nothing_yielded(serve_function: Callable[..., Any], driver: Any) -> None:
    nothing = "from typing import Iterator\ndef predict(n: int) -> Iterator[%s]:\n    yield from ()"
    link = serve_function(nothing % "str").attach()
    inputs = driver.tensor("n", [1], "INT64")
    assert words(link.predict(inputs)) == [b""]
    assert link.stream(inputs)[0] == []


def test_no_number_is_made_up_where_none_is_yielded(serve_function: Callable[..., Any], driver: Any) -> None:
    link = serve_function("def predict(n: int):\n    yield from ()").attach()
    answer = link.predict(driver.tensor("n", [1], "INT64"))
    assert (answer.verb, answer.header["code"]) == (frames.ERROR, "OUTPUT_INVALID")


def test_several_rows_are_refused_where_each_has_parts_of_its_own(
    serve_function: Callable[..., Any], driver: Any
) -> None:
    link = serve_function(COUNTING).attach()
    parts, last = link.stream(driver.tensor("text", ["a", "b"], "BYTES"))
    assert (parts, last.header["code"]) == ([], "INVALID_INPUT")
    assert "send one row" in last.header["message"]


def test_an_error_comes_behind_the_parts_before_it(serve_function: Callable[..., Any], driver: Any) -> None:
    link = serve_function("def predict(n: int):\n    yield 'a'\n    raise RuntimeError('secret')").attach()
    parts, last = link.stream(driver.tensor("n", [1], "INT64"))
    assert [words(part) for part in parts] == [[b"a"]]
    assert (last.verb, last.header["code"], last.header["message"]) == (
        frames.ERROR,
        "MODEL_ERROR",
        "the model failed to predict",
    )


ENDLESS = """
    %s predict(n: int):
        try:
            while True:
                yield "more"
        finally:
            open("closed", "w").close()
"""


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_cancelled_generator_is_closed(kind: str, serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function(ENDLESS % kind)
    link = worker.attach()
    id = link.send_predict(driver.tensor("n", [1], "INT64"), wants_parts=True)
    assert link.receive().verb == frames.PART
    worker.cancel(link, id)
    _, last = link.receive_parts()
    assert (last.verb, last.header["code"]) == (frames.ERROR, "CANCELLED")
    assert (worker.folder / "closed").exists()


def test_a_front_end_that_is_gone_ends_the_work(serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function(ENDLESS % "def")
    gone, link = worker.attach(1), worker.attach(2)
    gone.send_predict(driver.tensor("n", [1], "INT64"), wants_parts=True)
    gone.receive()
    gone.close()
    id = link.send_predict(driver.tensor("n", [1], "INT64"), wants_parts=True)
    assert link.receive().verb == frames.PART  # the worker has come to the next batch
    worker.cancel(link, id)


def test_parts_are_converted_as_answers_are(serve_function: Callable[..., Any], driver: Any) -> None:
    worker = serve_function(
        "from typing import Iterator\ndef predict(n: int) -> Iterator[str]:\n    yield 'no'\n    yield 'yes'",
        outputs=[{"name": "word", "reads": "output"}],
    )
    parts, _ = worker.attach().stream(driver.tensor("n", [1], "INT64"))
    assert [list(part.arrays["word"].ravel()) for part in parts] == [[b"no"], [b"yes"]]
