import pytest

from keras_bert_kit.data.tagging_scores import tagging_scores


def test_a_span_is_right_as_a_whole():
    true = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "B-LOC"]]
    predicted = [["B-PER", "O", "O", "B-LOC"], ["B-PER", "B-LOC"]]
    scores = tagging_scores(true, predicted)
    assert scores["precision"] == pytest.approx(2 / 4)
    assert scores["recall"] == pytest.approx(2 / 3)
    assert scores["f1"] == pytest.approx(4 / 7)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["labels"]["LOC"] == {
        "precision": 1, "recall": 1, "f1-score": 1, "support": 2
    }  # fmt: skip
    assert scores["labels"]["PER"]["f1-score"] == 0


def test_nothing_found_scores_0_without_a_warning():
    scores = tagging_scores([["B-X", "O"]], [["O", "O"]])
    assert (scores["f1"], scores["precision"], scores["recall"]) == (0, 0, 0)


def test_nothing_to_find():
    assert tagging_scores([["O"]], [["O"]])["f1"] == 0
