import json
from pathlib import Path

import numpy as np
import pytest

from keras_bert_kit import BertForSequenceClassification
from keras_bert_kit.export import serving_functions
from keras_bert_kit.serving import Pipeline

GOLDEN = Path(__file__).parents[1] / "saved_models" / "golden"
ANSWERS = json.loads((GOLDEN / "answers.json").read_text(encoding="utf-8"))


def from_folder():
    model = BertForSequenceClassification.from_pretrained(GOLDEN / "model")
    return Pipeline(serving_functions(model))


def from_saved_model():
    return Pipeline.load(GOLDEN / "saved_model")


@pytest.mark.parametrize("load", [from_folder, from_saved_model])
def test_what_an_earlier_version_wrote_gives_the_answers_it_gave_then(load):
    answers = load()([answer["text"] for answer in ANSWERS])
    for answer, golden in zip(answers, ANSWERS, strict=True):
        assert answer["label"] == golden["label"]
        assert list(answer["probabilities"]) == list(golden["probabilities"])
        np.testing.assert_allclose(
            list(answer["probabilities"].values()),
            list(golden["probabilities"].values()),
            atol=1e-5,
        )
