"""Windows that are cut in a graph are those of `BertTokenizer`."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf
from tokenization.test_exactness import lines_of

from keras_bert_kit import BertTokenizer

NAMES = ("input_ids", "token_type_ids", "attention_mask")
COUNTS = [0, 1, 2, 4, 5, 6, 7, 8, 9, 12, 13, 30]


@pytest.fixture(scope="module")
def python(vocab):
    return BertTokenizer(vocab, split_special_tokens=True)


@pytest.fixture(scope="module")
def layer(python):
    return python.in_graph()


def texts_of(counts, seed):
    generator = np.random.default_rng(seed)
    words = ["the", "food", "was", "good", "中", "é,", "x5"]
    return [" ".join(generator.choice(words, count)) for count in counts]


def expected_windows(python, texts, questions, max_length, stride):
    """For each text, its windows by name, with the characters of the text's own tokens."""
    texts_first = (texts,) if questions is None else (questions, texts)
    rows = python(
        *texts_first,
        max_length=max_length,
        truncation=True if questions is None else "only_second",
        stride=stride,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        return_special_tokens_mask=True,
    )
    windows = [[] for _ in texts]
    for index, row in enumerate(rows["overflow_to_sample_mapping"]):
        real = rows["attention_mask"][index] == 1
        window = {name: rows[name][index][real].tolist() for name in NAMES}
        own = real & (rows["special_tokens_mask"][index] == 0)
        own &= rows["token_type_ids"][index] == (0 if questions is None else 1)
        offsets = np.where(own[:, None], rows["offset_mapping"][index], -1)
        windows[row].append({**window, "offsets": offsets[real].tolist()})
    return windows


def actual_windows(layer, texts, questions, **options):
    """The same of the layer; what padding holds is checked on the way."""
    ids, starts, ends = layer.tokenize_with_offsets(texts)
    question_ids = None if questions is None else layer.tokenize(questions)
    packed = {k: v.numpy() for k, v in layer.windows(ids, question_ids, **options).items()}
    assert {array.dtype for array in packed.values()} == {np.dtype("int32")}
    assert len({array.shape for array in packed.values()}) == 1
    padding = packed["attention_mask"] == 0
    assert set(packed["input_ids"][padding]) <= {layer.pad_token_id}
    assert set(packed["token_type_ids"][padding]) <= {0}
    assert set(packed["position"][padding]) <= {-1}
    assert packed["attention_mask"].any((0, 1)).all()
    assert packed["attention_mask"].any((0, 2)).all()
    windows = [[] for _ in texts]
    for row, number in np.argwhere(packed["attention_mask"].any(-1)):
        real = packed["attention_mask"][row, number] == 1
        window = {name: packed[name][row, number][real].tolist() for name in NAMES}
        position = packed["position"][row, number][real]
        offsets = np.stack([*in_characters(texts[row], starts[row], ends[row])], 1)
        offsets = [offsets[place].tolist() if place >= 0 else [-1, -1] for place in position]
        windows[row].append({**window, "offsets": offsets})
    return windows


def in_characters(text, *offsets):
    text = text.encode()
    return [[len(text[:end].decode()) for end in part.numpy()] for part in offsets]


@pytest.mark.parametrize(
    ("max_length", "stride"), [(3, 0), (4, 1), (7, 0), (7, 1), (7, 4), (12, 5), (40, 30), (400, 7)]
)
def test_windows_of_texts(python, layer, max_length, stride):
    texts = texts_of(COUNTS, seed=3)
    expected = expected_windows(python, texts, None, max_length, stride)
    assert actual_windows(layer, texts, None, max_length=max_length, stride=stride) == expected


@pytest.mark.parametrize(
    ("max_length", "stride"), [(9, 0), (9, 1), (12, 2), (13, 3), (40, 20), (400, 7)]
)
def test_windows_of_texts_with_questions(python, layer, max_length, stride):
    texts = texts_of(COUNTS * 3, seed=3)
    fits = [min(count, max_length - 4 - stride) for count in (0, 1, 5)]
    questions = ["very " * count for count in np.repeat(fits, len(COUNTS))]
    expected = expected_windows(python, texts, questions, max_length, stride)
    options = {"max_length": max_length, "stride": stride}
    assert actual_windows(layer, texts, questions, **options) == expected


def test_a_question_that_fits_beside_its_text_stays_whole(python, layer):
    texts, questions = ["good", "", "the food"], ["very " * 9, "very " * 10, "was " * 8]
    expected = expected_windows(python, texts, questions, 13, 5)
    assert actual_windows(layer, texts, questions, max_length=13, stride=5) == expected


def test_a_question_without_room_is_cut_at_its_end(python, layer):
    texts = ["the food was good and it is not bad", "", "good"]
    question = "very food book price screen battery phone staff room fast slow"
    shorter = " ".join(question.split()[: 12 - 3 - 1 - 2])
    options = {"max_length": 12, "stride": 2}
    actual = actual_windows(layer, texts, [question] * 3, **options)
    assert actual == actual_windows(layer, texts, [shorter] * 3, **options)
    assert actual == expected_windows(python, texts, [shorter] * 3, 12, 2)
    assert len(actual[0]) == 7  # each goes on by one token


@pytest.mark.parametrize("questions", [None, ["very food", "", "was"]])
def test_of_too_many_windows_the_first_ones_stay(layer, questions):
    texts = texts_of([20, 3, 9], seed=4)
    every = actual_windows(layer, texts, questions, max_length=8, stride=1)
    some = actual_windows(layer, texts, questions, max_length=8, stride=1, max_windows=2)
    assert some == [windows[:2] for windows in every]
    assert [len(windows) for windows in some] == [2, 1, 2]


def test_where_each_token_comes_from(layer):
    ids = tf.ragged.constant([[11, 12, 13, 14, 15], [], [16]], tf.int32)
    questions = tf.ragged.constant([[21], [22, 23], []], tf.int32)
    packed = layer.windows(ids, questions, max_length=7, stride=1)
    cls, sep = layer.cls_token_id, layer.sep_token_id
    assert packed["input_ids"].numpy().tolist() == [
        [[cls, 21, sep, 11, 12, 13, sep], [cls, 21, sep, 13, 14, 15, sep]],
        [[cls, 22, 23, sep, sep, 0, 0], [0] * 7],
        [[cls, sep, 16, sep, 0, 0, 0], [0] * 7],
    ]
    assert packed["position"].numpy().tolist() == [
        [[-1, -1, -1, 0, 1, 2, -1], [-1, -1, -1, 2, 3, 4, -1]],
        [[-1] * 7, [-1] * 7],
        [[-1, -1, 0, -1, -1, -1, -1], [-1] * 7],
    ]
    assert packed["token_type_ids"].numpy().sum(-1).tolist() == [[4, 4], [1, 0], [2, 0]]


@pytest.mark.parametrize("paired", [True, False])
def test_windows_are_saved_with_an_unknown_batch_size(layer, paired, tmp_path):
    module = tf.Module()
    module.layer = layer
    texts = tf.TensorSpec([None], tf.string)

    @tf.function(autograph=False, input_signature=[texts, texts])
    def serve(texts, questions):
        ids = layer.tokenize(texts)
        question_ids = layer.tokenize(questions) if paired else None
        return layer.windows(ids, question_ids, max_length=9, stride=2, max_windows=4)

    module.serve = serve
    tf.saved_model.save(module, tmp_path / "saved")
    loaded = tf.saved_model.load(tmp_path / "saved")
    for counts in (COUNTS, [3], [0]):
        texts, questions = (tf.constant(texts_of(counts, seed)) for seed in (1, 2))
        expected = layer.windows(
            layer.tokenize(texts),
            layer.tokenize(questions) if paired else None,
            max_length=9,
            stride=2,
            max_windows=4,
        )
        actual = loaded.serve(texts, questions)
        assert set(actual) == {*NAMES, "position"}
        for name, array in expected.items():
            np.testing.assert_array_equal(actual[name], array, err_msg=name)
    none = tf.zeros([0], tf.string)
    assert {array.shape for array in loaded.serve(none, none).values()} == {(0, 1, 2)}


@pytest.mark.parametrize(
    ("paired", "options", "received"),
    [
        (False, {"max_length": 2}, r"max_length=2 and stride=0"),
        (False, {"max_length": 7, "stride": 5}, r"at least stride \+ 3.*max_length=7 and stride=5"),
        (True, {"max_length": 7, "stride": 3}, r"at least stride \+ 5.*max_length=7 and stride=3"),
        (True, {"max_length": 7, "stride": -1}, r"stride must be at least 0.*stride=-1"),
        (False, {"max_length": 7, "max_windows": 0}, r"max_windows must be .*max_windows=0"),
    ],
)
def test_windows_that_do_not_go_on_are_refused(layer, paired, options, received):
    ids = layer.tokenize(["the food"])
    with pytest.raises(ValueError, match=received):
        layer.windows(ids, ids if paired else None, **options)


@pytest.mark.data
@pytest.mark.parametrize(("max_length", "stride"), [(384, 128), (64, 16)])
def test_windows_of_real_paragraphs(data_dir, max_length, stride):
    vocab = lines_of(data_dir / "vocab" / "bert-base-uncased" / "vocab.txt")[:-1]
    python = BertTokenizer(vocab, split_special_tokens=True)
    squad = json.loads("\n".join(lines_of(data_dir / "squad_v1.1" / "first38-articles.json.gz")))
    paragraphs = [part for article in squad["data"] for part in article["paragraphs"]][::30]
    texts = [part["context"] for part in paragraphs]
    questions = [part["qas"][0]["question"] for part in paragraphs]
    layer = python.in_graph()
    for asked in (questions, None):
        expected = expected_windows(python, texts, asked, max_length, stride)
        actual = actual_windows(layer, texts, asked, max_length=max_length, stride=stride)
        assert actual == expected
    assert len(texts) > 50
