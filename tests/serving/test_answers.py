import json

import numpy as np

from keras_bert_kit.serving.answers import answers_of_rows


def texts(*rows):
    return np.array(rows, object)


def test_names_go_with_their_numbers():
    outputs = {
        "label": texts(b"bad", b"good"),
        "score": np.array([0.75, 0.5], "float32"),
        "labels": texts([b"bad", b"good"], [b"bad", b"good"]),
        "probabilities": np.array([[0.75, 0.25], [0.5, 0.5]], "float32"),
    }
    assert answers_of_rows(outputs) == [
        {"label": "bad", "score": 0.75, "probabilities": {"bad": 0.75, "good": 0.25}},
        {"label": "good", "score": 0.5, "probabilities": {"bad": 0.5, "good": 0.5}},
    ]


def test_a_group_is_a_list_of_as_many_as_there_are():
    outputs = {
        "entities.text": texts([b"Ada", "Zürich".encode()], [b"", b""]),
        "entities.start": np.array([[0, 4], [0, 0]], "int32"),
        "entities.count": np.array([2, 0], "int32"),
    }
    first, second = answers_of_rows(outputs)
    assert first == {"entities": [{"text": "Ada", "start": 0}, {"text": "Zürich", "start": 4}]}
    assert second == {"entities": []}


def test_vectors_are_lists_and_everything_is_plain():
    outputs = {"embedding": np.eye(2, dtype="float32"), "count": np.array([1, 2], "int32")}
    answers = answers_of_rows(outputs)
    assert json.loads(json.dumps(answers)) == [
        {"embedding": [1.0, 0.0], "count": 1},
        {"embedding": [0.0, 1.0], "count": 2},
    ]


def test_text_that_is_no_utf8_is_shown_all_the_same():
    assert answers_of_rows({"answer": texts(b"caf\xe9")}) == [{"answer": "caf\ufffd"}]


def test_no_rows_give_no_answers():
    assert answers_of_rows({"label": texts(), "entities.count": np.zeros(0, "int32")}) == []
