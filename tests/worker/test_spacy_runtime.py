"""Pipelines of spaCy answer what their components assign."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from framework_programs import told_by

from framework_environments import framework_python

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def test_each_component_has_its_outputs(tmp_path: Path) -> None:
    told = told_by(
        framework_python("spacy==3.8.18"),
        """
        import spacy
        from spacy.training import Example

        def trained(*names):
            nlp = spacy.blank("en")
            nlp.add_pipe("sentencizer")
            for name in names:
                classifier = nlp.add_pipe(name)
                for label in ("GOOD", "BAD"):
                    classifier.add_label(label)
            pairs = [("fine", {"GOOD": 1.0, "BAD": 0.0}), ("poor", {"GOOD": 0.0, "BAD": 1.0})]
            examples = [Example.from_dict(nlp.make_doc(text), {"cats": cats}) for text, cats in pairs]
            optimizer = nlp.initialize(lambda: examples)
            for _ in range(20):
                nlp.update(examples, sgd=optimizer)
            ruler = nlp.add_pipe("entity_ruler")
            ruler.add_patterns([{"label": "ORG", "pattern": "Acme"}])
            return nlp

        asked = ["A fine day. So says Acme.", ""]

        def both(nlp, *given):
            nlp.to_disk(folder + "/m")
            served = opened("spacy", folder + "/m")
            return [[doc.cats for doc in nlp.pipe(asked)], served.predict({"x": text(*asked)}, {}), rows(served),
                    served.details]

        words = spacy.blank("en")
        words.vocab.vectors = spacy.vectors.Vectors(data=np.ones((1, 3), "f"), keys=[words.vocab.strings.add("fine")])
        one, many = trained("textcat"), trained("textcat_multilabel")
        one.to_disk(folder + "/n")
        narrowed = opened("spacy", folder + "/n")
        narrowed.leave_out(["tokens", "scores", "sentences", "entities"])
        tell(one=both(one), many=both(many), words=both(words), alone=list(narrowed.predict({"x": text("fine")}, {})))
        """,
        tmp_path,
    )
    cats, served, described, details = told["one"]
    assert served["label"] == [max(each, key=each.get) for each in cats]
    assert served["scores"] == [pytest.approx([each["GOOD"], each["BAD"]]) for each in cats]
    assert json.loads(served["entities"][0]) == [{"text": "Acme", "start": 20, "end": 24, "label": "ORG"}]
    assert [each["text"] for each in json.loads(served["sentences"][0])] == ["A fine day.", "So says Acme."]
    tokens = json.loads(served["tokens"][0])
    assert tokens[-2] == {"text": "Acme", "start": 20, "end": 24, "entity": "ORG"}
    assert [served[name][1] for name in ("entities", "sentences", "tokens")] == ["[]", "[]", "[]"]
    assert described == [
        ["label", "BYTES", [-1]],
        ["scores", "FP32", [-1, 2]],
        ["entities", "BYTES", [-1]],
        ["sentences", "BYTES", [-1]],
        ["tokens", "BYTES", [-1]],
    ]
    assert details["classes"] == '["GOOD", "BAD"]'
    assert [row[0] for row in told["many"][2]] == ["scores", "entities", "sentences", "tokens"]
    _cats, served, described, _details = told["words"]
    assert [row[0] for row in described] == ["vector", "tokens"]
    assert served["vector"][1] == [0, 0, 0]
    assert told["alone"] == ["label"]


def test_what_cannot_be_opened_says_so(tmp_path: Path) -> None:
    told = told_by(
        framework_python("spacy==3.8.18"),
        """
        import spacy
        nlp = spacy.blank("en")
        nlp.to_disk(folder + "/m")
        config = open(folder + "/m/config.cfg").read()
        own = '[components]\\n\\n[components.own]\\nfactory = "of_nobody"'
        config = config.replace("pipeline = []", 'pipeline = ["own"]').replace("[components]", own, 1)
        open(folder + "/m/config.cfg", "w").write(config)
        tell(refused=failure(lambda: opened("spacy", folder + "/m")))
        """,
        tmp_path,
    )
    assert "spaCy 3.8.18 cannot open the pipeline" in told["refused"][1]
    assert "of_nobody" in told["refused"][1]
