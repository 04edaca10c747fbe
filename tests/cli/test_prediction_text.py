import json

import pytest

from salver.cli.predict import as_document, show
from salver_client.results import Prediction, Ranked

SEVEN = (Ranked(label="seven", probability=0.987), Ranked(label="one", probability=None))
ONE_ROW = Prediction(model="digits", version=1, outputs={"classes": [["seven", "one"]]}, ranking=(SEVEN,))
TWO_ROWS = Prediction(model="digits", version=1, ranking=(SEVEN, SEVEN[:1]))
BODY = Prediction(model="m", version=2, body=b"caf\xc3\xa9\n", content_type="text/plain")


def test_a_ranking_is_a_table_of_classes(capsys):
    show(ONE_ROW)
    assert [line.split() for line in capsys.readouterr().out.splitlines()] == [
        ["CLASS", "PROBABILITY"],
        ["seven", "98.7%"],
        ["one", "unknown"],
    ]


def test_several_rows_are_told_apart(capsys):
    show(TWO_ROWS)
    lines = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert (lines.count("row 1"), lines.count("row 2"), len(lines)) == (1, 1, 7)


def test_a_body_comes_out_byte_by_byte(capfdbinary):
    show(BODY)
    assert capfdbinary.readouterr().out == BODY.body


@pytest.mark.parametrize(
    ("prediction", "document"),
    [
        (
            ONE_ROW,
            {
                "model": "digits",
                "version": 1,
                "ranking": [[{"class": "seven", "probability": 0.987}, {"class": "one", "probability": None}]],
                "outputs": {"classes": [["seven", "one"]]},
            },
        ),
        (BODY, {"model": "m", "version": 2, "content_type": "text/plain", "body": "café\n"}),
    ],
)
def test_an_answer_as_json_has_the_names_of_the_protocol(prediction, document):
    assert json.loads(json.dumps(as_document(prediction))) == document
