import numpy as np
import pytest

from keras_bert_kit.tasks.scores import (
    label_scores,
    label_set_scores,
    number_scores,
    score_tables,
    scores_line,
)


def test_one_label_a_row():
    scores = label_scores(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), ["bad", "good"])
    assert scores["accuracy"] == 0.75
    assert scores["f1"] == pytest.approx(0.8)  # 2 of 3 found are right, 2 of 2 are found
    assert scores["macro_f1"] == pytest.approx((0.8 + 2 / 3) / 2)
    assert scores["matthews_correlation"] == pytest.approx(1 / 3**0.5)
    assert scores["labels"]["good"]["support"] == 2
    assert scores["confusion_matrix"] == [[1, 1], [0, 2]]


def test_f1_of_one_class_is_for_two_classes_alone():
    scores = label_scores(np.array([0, 1, 2]), np.array([0, 1, 1]), ["a", "b", "c"])
    assert "f1" not in scores
    assert scores["macro_f1"] == pytest.approx((1 + 2 / 3) / 3)  # a class never found counts


def test_several_labels_a_row():
    labels = np.array([[1, 0], [1, 1], [0, 0]], "float32")
    scores = label_set_scores(labels, np.array([[1, 0], [1, 0], [0, 0]]), ["a", "b"])
    assert scores["subset_accuracy"] == pytest.approx(2 / 3)
    assert scores["micro_f1"] == pytest.approx(0.8)
    assert scores["macro_f1"] == pytest.approx(0.5)
    assert scores["labels"]["b"]["recall"] == 0


def test_numbers():
    numbers = np.array([[1.0], [2.0], [3.0], [4.0]])
    scores = number_scores(numbers, np.exp(numbers))
    assert scores["spearman"] == pytest.approx(1)
    assert 0.8 < scores["pearson"] < 1
    assert number_scores(numbers, numbers + 2)["mean_squared_error"] == 4


@pytest.mark.parametrize("predicted", [np.zeros(3), np.full(3, 0.1)])
def test_a_constant_has_no_correlation(predicted):
    scores = number_scores(np.array([1.0, 2.0, 3.0]), predicted)
    assert (scores["pearson"], scores["spearman"]) == (0, 0)


def test_scores_in_words():
    scores = {"rows": 3, "accuracy": 0.5, "macro_f1": 0.25, "labels": {"a": {"support": 3.0}}}
    assert scores_line(scores) == "accuracy 0.5000, macro f1 0.2500"
    assert score_tables(scores) == [[{"label": "a", "support": "3"}]]
    scores = {"languages": {"de": {"rows": 2, "accuracy": 0.5}}}
    assert score_tables(scores) == [[{"language": "de", "rows": "2", "accuracy": "0.5"}]]
